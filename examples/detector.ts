// Why a detector found something in a box. The model returns boxes, labels and scores for each image, as torchvision's do.
//   node dist/examples/detector.js IMAGE MODEL.pt LAYER x1,y1,x2,y2 [HEIGHTxWIDTH OUT]
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { GradCam, ScriptModule, loadImage, overlay, saveImage, type Value } from 'libtorch-gradcam'

const [image, file, layer, corners, sizes = '224x224', out = 'out/detector'] = process.argv.slice(2)
if (!image || !file || !layer || !corners)
  throw new Error('Usage: detector.js IMAGE MODEL.pt LAYER x1,y1,x2,y2 [HEIGHTxWIDTH OUT]')
const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = corners.split(',').map(Number)
const [height = 0, width = 0] = sizes.split('x').map(Number)

using model = await ScriptModule.load(file)
using input = await loadImage(image, { size: [height, width] })
using gradCam = new GradCam(model, [layer])
// The score is IoU plus confidence of the detection that overlaps the box most. A box without one is an error.
using found = await gradCam.explain<Value>(input, { target: { kind: 'box', box: [x1, y1, x2, y2], iou: 0.1 } })
await mkdir(out, { recursive: true })
using blended = overlay(input, found.cam)
await saveImage(blended, join(out, 'overlay.png'))
console.log(`label ${found.targets[0]}, score ${found.scores[0]?.toFixed(3)}: ${join(out, 'overlay.png')}`)
