// What `precision: 'bfloat16'` does to maps: the rank correlation (Spearman) of each map with float32's, and the pointing
// game, on held-out scenes of the bundled model.
//
//   npm run build && node scripts/bench/precision.mjs [SCENES]
import { GradCam, ScriptModule, Tensor, imagenet, interpolate, standardize } from '../../dist/lib/index.js'
import { heldOutSeeds, renderScene, sceneSide } from '../scenes.mjs'
import { median } from './statistics.mjs'

const scenes = Number(process.argv[2] ?? 500)
const model = await ScriptModule.load(new URL('../../samples/animals-densenet.pt', import.meta.url))
const exact = new GradCam(model, ['features'])
const reduced = new GradCam(model, ['features'], { precision: 'bfloat16' })

function toInput(rgb) {
  const pixels = Tensor.from(rgb, [1, sceneSide, sceneSide, 3])
  const floats = pixels.permute([0, 3, 1, 2]).to({ dtype: 'float32' }).div(255)
  return standardize(floats, imagenet)
}

/** Places in the order of their values; equal values share the mean of their places. */
function ranks(values) {
  const order = Array.from(values, (_, i) => i).sort((a, b) => values[a] - values[b])
  const ranked = new Float64Array(values.length)
  for (let from = 0, to; from < order.length; from = to) {
    for (to = from + 1; to < order.length && values[order[to]] === values[order[from]];) to++
    for (let i = from; i < to; i++) ranked[order[i]] = (from + to - 1) / 2
  }
  return ranked
}

function correlation(a, b) {
  const middle = (a.length - 1) / 2
  let [product, squaresA, squaresB] = [0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    product += (a[i] - middle) * (b[i] - middle)
    squaresA += (a[i] - middle) ** 2
    squaresB += (b[i] - middle) ** 2
  }
  return product / Math.sqrt(squaresA * squaresB)
}

function hits(cam, box) {
  const map = interpolate(cam, [sceneSide, sceneSide])
  const peak = map.flatten().argmax().item()
  const [x, y] = [peak % sceneSide, Math.floor(peak / sceneSide)]
  return x >= box.x && x < box.x + box.w && y >= box.y && y < box.y + box.h
}

const correlations = []
const inside = [0, 0]
let sameClass = 0
for (let seed = heldOutSeeds; seed < heldOutSeeds + scenes; seed++) {
  const { boxes, rgb } = await renderScene(seed)
  const input = toInput(rgb)
  for (const box of boxes) {
    const found = [
      await exact.explain(input, { target: box.class }),
      await reduced.explain(input, { target: box.class }),
    ]
    for (const [i, { cam }] of found.entries()) inside[i] += hits(cam, box)
    correlations.push(correlation(...found.map(({ cam }) => ranks(cam.toTypedArray()))))
    const top = found.map(({ output }) => output.flatten().argmax().item())
    sameClass += top[0] === top[1]
    for (const one of found) one.dispose()
  }
  input.dispose()
}
const percent = (count) => `${((100 * count) / correlations.length).toFixed(1)} %`
const least = Math.min(...correlations)
console.log(
  `${correlations.length} maps of ${scenes} scenes: peaks inside the animal in ${percent(inside[0])} with float32 and ${percent(inside[1])} with bfloat16; ` +
    `rank correlation ${median(correlations).toFixed(4)} in the median, ${least.toFixed(3)} at worst; the same top class in ${percent(sameClass)}.`,
)
