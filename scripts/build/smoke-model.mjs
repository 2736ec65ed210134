// Explains an image of numbers with the sample model and prints what came of it, for comparing one processor with another.
import { join } from 'node:path'
import { GradCam, GuidedBackprop, ScriptModule, Tensor } from 'libtorch-gradcam'

const side = 96
// A bright disc on a dark ground: of an image of noise the maps are zero.
const values = Float32Array.from({ length: 3 * side * side }, (_, i) => {
  const [row, column] = [Math.floor(i / side) % side, i % side]
  return Math.hypot(row - 40, column - 56) < 24 ? 1 + Math.sin(row * 0.4) / 2 : -1 + Math.cos(i * 0.011) / 4
})
const image = Tensor.from(values, [1, 3, side, side])
const model = await ScriptModule.load(join(import.meta.dirname, '..', '..', 'samples', 'animals-densenet.pt'))
const found = []
for (const execution of /** @type {const} */ (['auto', 'hooked'])) {
  const explained = await new GradCam(model, ['features'], { execution }).explain(image, { target: 2 })
  found.push({ name: `map, ${execution}`, values: explained.cam.toTypedArray() })
}
const attributed = await new GuidedBackprop(model).explain(image, { target: 2 })
found.push({ name: 'guided backprop', values: attributed.gradient.toTypedArray() })
console.log(
  JSON.stringify({
    arch: process.arch,
    found: found.map(({ name, values: all }) => ({ name, values: Array.from(all, Number) })),
  }),
)
