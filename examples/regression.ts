// What raises a regression model's output, and what lowers it.
//   node dist/examples/regression.js IMAGE MODEL.pt LAYER [HEIGHTxWIDTH OUT]
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { GradCam, ScriptModule, imagenet, loadImage, overlay, saveImage } from 'libtorch-gradcam'

const [image, file, layer, sizes = '224x224', out = 'out/regression'] = process.argv.slice(2)
if (!image || !file || !layer) throw new Error('Usage: regression.js IMAGE MODEL.pt LAYER [HEIGHTxWIDTH OUT]')
const [height = 0, width = 0] = sizes.split('x').map(Number)

using model = await ScriptModule.load(file)
using input = await loadImage(image, { size: [height, width], normalize: imagenet })
using shown = await loadImage(image, { size: [height, width] })
using gradCam = new GradCam(model, [layer])
await mkdir(out, { recursive: true })

for (const [name, sign] of [
  ['raises', 1],
  ['lowers', -1],
] as const) {
  using found = await gradCam.explain(input, { target: { kind: 'regression', output: 0, sign } })
  using blended = overlay(shown, found.cam)
  await saveImage(blended, join(out, `${name}.png`))
  console.log(`what ${name} it: score ${found.scores[0]?.toFixed(4)}, ${join(out, `${name}.png`)}`)
}
