// Grad-CAM of a vision transformer. Its layers return tokens; suggestLayers finds a layer and says how its tokens become a grid.
//   node dist/examples/vision-transformer.js [IMAGE MODEL.pt HEIGHTxWIDTH OUT]
// Without arguments it explains the sample image by the sample transformer.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Cam, ScriptModule, imagenet, loadImage, overlay, saveImage, suggestLayers } from 'libtorch-gradcam'

const [
  image = 'samples/cat_dog.png',
  file = 'samples/animals-vit.pt',
  sizes = '224x224',
  out = 'out/vision-transformer',
] = process.argv.slice(2)
const [height = 0, width = 0] = sizes.split('x').map(Number)

using model = await ScriptModule.load(file)
using input = await loadImage(image, { size: [height, width], normalize: imagenet })
using shown = await loadImage(image, { size: [height, width] })
const [suggestion] = await suggestLayers(model, input)
if (!suggestion) throw new Error('No layer of this model has spatial dimensions.')
const { layer, reshape, reason } = suggestion
console.log(`${layer}: ${reason}`)

using cam = new Cam(model, { layers: [layer], methods: ['gradcam'], ...(reshape ? { reshape } : {}) })
using found = await cam.explain(input)
await mkdir(out, { recursive: true })
using blended = overlay(shown, found.cam)
await saveImage(blended, join(out, 'overlay.png'))
console.log(`class ${found.targets[0]}, map ${found.cam.shape.join(' x ')}: ${join(out, 'overlay.png')}`)
