// npm run demo: one image, two animals, and what a small network looked at when it named each of them.
// npm run demo -- IMAGE MODEL LAYER takes an image, a TorchScript model and a layer of your own.
import { mkdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  GradCam,
  GuidedBackprop,
  ScriptModule,
  imagenet,
  interpolate,
  loadImage,
  normalize,
  overlay,
  saveImage,
} from 'libtorch-gradcam'
import { itemAt } from '../support/access.mjs'

const samples = fileURLToPath(new URL('../../samples', import.meta.url))
const [image = join(samples, 'cat_dog.png'), file = join(samples, 'animals-densenet.pt'), layer = 'features'] =
  process.argv.slice(2)
const labels = process.argv[3] ? [] : (await readFile(join(samples, 'labels.txt'), 'utf8')).trim().split('\n')
const nameOf = (/** @type {number} */ index) => labels[index] ?? `class-${index}`

// Tensors are freed with the process here. A program that goes on calls dispose(), or declares them with `using`.
/** @type {[number, number]} */
const size = [224, 224]
const began = performance.now()
const model = await ScriptModule.load(file)
const pixels = await loadImage(image, { size }) // [1, 3, 224, 224] from 0 to 1
const input = await loadImage(image, { size, normalize: imagenet }) // the same, as the model requires it

const gradCam = new GradCam(model, [layer])
const guided = new GuidedBackprop(model)
const logits = await gradCam.forward(input) // [1, classes]
await guided.forward(input)

const [best, indices] = logits.topk(Math.min(4, logits.size)) // [1, 4] each
const [scores, classes] = [Array.from(best.toTypedArray(), Number), Array.from(indices.toTypedArray(), Number)]
const { size: bytes } = await stat(file)
console.log(
  `\n${basename(file)} (${(bytes / 1e6).toFixed(1)} MB, on ${model.device}) looks at ${basename(image)} and says:\n`,
)
const lowest = logits.min().item()
const width = Math.max(...classes.map((index) => nameOf(index).length))
for (const [rank, score] of scores.entries()) {
  const bar = '█'.repeat(Math.round((24 * (score - lowest)) / (Math.max(...scores) - lowest)))
  console.log(`  ${nameOf(itemAt(classes, rank)).padEnd(width)}  ${score.toFixed(2).padStart(6)}  ${bar}`)
}

console.log('\nWhere did it look?\n')
for (const index of classes.slice(0, 2)) {
  await gradCam.backward(index)
  await guided.backward(index)
  const gcam = interpolate(gradCam.get(layer), size) // [1, 1, 224, 224]
  const grad = guided.get().mean(1, true) // [1, 1, 224, 224]

  const folder = join('out', 'demo', nameOf(index))
  await mkdir(folder, { recursive: true })
  await saveImage(normalize(gcam), join(folder, 'gcam.png'))
  await saveImage(normalize(grad), join(folder, 'grad.png'))
  await saveImage(normalize(gcam.mul(grad)), join(folder, 'mixed.png'))
  await saveImage(overlay(pixels, gcam), join(folder, 'overlay.png'))

  const peak = gcam.flatten().argmax().item()
  const place = `most at x ${peak % size[1]}, y ${Math.floor(peak / size[1])}`
  console.log(`  ${nameOf(index).padEnd(width)}  ${place.padEnd(20)}  ${folder}/{overlay,gcam,grad,mixed}.png`)
}
const seconds = (performance.now() - began) / 1000
console.log(`\nDone in ${seconds.toFixed(1)} s. Open the overlays first: red is where it looked most.\n`)
