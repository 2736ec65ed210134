// Where a model looked in one image: Grad-CAM over the image, guided backprop, and their product.
//   node dist/examples/quickstart.js [IMAGE MODEL.pt LAYER OUT]
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
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

const [
  image = 'samples/cat_dog.png',
  file = 'samples/animals-densenet.pt',
  layer = 'features',
  out = 'out/quickstart',
] = process.argv.slice(2)
const size = [224, 224] as const

using model = await ScriptModule.load(file)
using input = await loadImage(image, { size, normalize: imagenet })
using shown = await loadImage(image, { size }) // in [0, 1], to draw on

using gradCam = new GradCam(model, [layer])
using found = await gradCam.explain(input) // the top class; { target: 283 } is another
const target = found.targets[0] as number
using guided = new GuidedBackprop(model)
using fine = await guided.explain(input, { target })

await mkdir(out, { recursive: true })
using blended = overlay(shown, found.cam)
await saveImage(blended, join(out, 'overlay.png'))
using gradient = fine.gradient.mean(1, true)
using grey = normalize(gradient)
await saveImage(grey, join(out, 'guided-backprop.png'))
using large = interpolate(found.cam, size)
using product = large.mul(gradient)
using mixed = normalize(product)
await saveImage(mixed, join(out, 'guided-gradcam.png'))
console.log(`class ${target}, score ${found.scores[0]?.toFixed(2)}: overlay.png and two more in ${out}`)
