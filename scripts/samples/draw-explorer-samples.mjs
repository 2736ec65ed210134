/**
 * Draws the samples that the explorer offers besides samples/cat_dog.png: held-out scenes of the sample model.
 *
 *     node scripts/samples/draw-explorer-samples.mjs
 */
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { composeScene, heldOutSeeds, sceneSide } from './scenes.mjs'

const requested = [
  ['rabbit', 'fish'],
  ['bird', 'turtle'],
]
/** The scenes are drawn larger than the model sees them, as photos are. */
const side = 2 * sceneSide

for (const pair of requested) {
  let seed = heldOutSeeds
  while (composeScene(seed).boxes.some(({ label }) => !pair.includes(label))) seed++
  const file = fileURLToPath(new URL(`../../assets/explorer/${pair.join('-')}.webp`, import.meta.url))
  const { size } = await sharp(Buffer.from(composeScene(seed).svg), { density: 72 * (side / sceneSide) })
    .resize(side, side)
    .removeAlpha()
    .webp({ quality: 80, effort: 6 })
    .toFile(file)
  console.log(`${file}: seed ${seed}, ${(size / 1024).toFixed(0)} KiB`)
}
