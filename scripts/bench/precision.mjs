// What `precision: 'bfloat16'` does to maps: the rank correlation (Spearman) of each map with float32's, and the pointing
// game, on held-out scenes of the bundled model.
//
//   npm run build && node scripts/bench/precision.mjs [SCENES]
import { GradCam, PointingGame, ScriptModule, rankCorrelation } from 'libtorch-gradcam'
import { itemAt } from '../support/access.mjs'
import { toInput } from '../samples/scene-input.mjs'
import { heldOutSeeds, renderScene } from '../samples/scenes.mjs'
import { median } from './statistics.mjs'

const scenes = Number(process.argv[2] ?? 500)
const model = await ScriptModule.load(new URL('../../samples/animals-densenet.pt', import.meta.url))
const exact = new GradCam(model, ['features'])
const reduced = new GradCam(model, ['features'], { precision: 'bfloat16' })

const games = [new PointingGame(model), new PointingGame(model)]
const correlations = []
let sameClass = 0
for (let seed = heldOutSeeds; seed < heldOutSeeds + scenes; seed++) {
  const { boxes, rgb } = await renderScene(seed)
  const input = toInput(rgb)
  for (const box of boxes) {
    const found = [
      await exact.explain(input, { target: box.class }),
      await reduced.explain(input, { target: box.class }),
    ]
    for (const [i, { cam }] of found.entries()) await itemAt(games, i).add(input, cam, { boxes: [box] })
    correlations.push(...(await rankCorrelation(itemAt(found, 0).cam, itemAt(found, 1).cam)))
    const top = found.map(({ output }) => output.flatten().argmax().item())
    sameClass += top[0] === top[1] ? 1 : 0
    for (const one of found) one.dispose()
  }
  input.dispose()
}
const percent = (/** @type {number} */ count) => `${((100 * count) / correlations.length).toFixed(1)} %`
const inside = games.map((game) => percent(game.result().mean * correlations.length))
const least = Math.min(...correlations)
console.log(
  `${correlations.length} maps of ${scenes} scenes: peaks inside the animal in ${inside[0]} with float32 and ${inside[1]} with bfloat16; ` +
    `rank correlation ${median(correlations).toFixed(4)} in the median, ${least.toFixed(3)} at worst; the same top class in ${percent(sameClass)}.`,
)
