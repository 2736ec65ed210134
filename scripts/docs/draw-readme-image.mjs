// Draws docs/images/cat-dog.png: the sample image, and where the sample model looks for each of its two animals.
import { mkdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { GradCam, ScriptModule, encodeImage, imagenet, loadImage, overlay } from 'libtorch-gradcam'

const inRepository = (/** @type {string} */ path) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const labels = (await readFile(inRepository('samples/labels.txt'), 'utf8')).trim().split('\n')
const image = inRepository('samples/cat_dog.png')
const side = 320
const gap = 12

const model = await ScriptModule.load(inRepository('samples/animals-densenet.pt'))
const input = await loadImage(image, { size: [224, 224], normalize: imagenet })
const pixels = await loadImage(image, { size: [side, side] })
const gradCam = new GradCam(model, ['features'])

const tiles = [await encodeImage(pixels, 'png')]
for (const name of ['cat', 'dog']) {
  const { cam } = await gradCam.explain(input, { target: labels.indexOf(name) })
  tiles.push(await encodeImage(overlay(pixels, cam), 'png'))
}

await mkdir(inRepository('docs/images'), { recursive: true })
await sharp({
  create: { width: 3 * side + 2 * gap, height: side, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } },
})
  .composite(tiles.map((tile, i) => ({ input: tile, left: i * (side + gap), top: 0 })))
  .png({ compressionLevel: 9, palette: true })
  .toFile(inRepository('docs/images/cat-dog.png'))
