import test from 'ava'
import { GradCam, PointingGame, ScriptModule, Tensor, standardize, imagenet } from '../../lib/index.js'
import type * as Scenes from '../../scripts/samples/scenes.mjs'

// Not compiled, so not in dist: it is loaded from where it lies.
const scenesFile = new URL('../../../scripts/samples/scenes.mjs', import.meta.url)
const { heldOutSeeds, labels, renderScene, sceneSide } = (await import(scenesFile.href)) as typeof Scenes
const modelFile = new URL('../../../samples/animals-densenet.pt', import.meta.url)

const scenes = 200

/** [1, 3, side, side], as the model requires it. */
function toInput(rgb: Uint8Array): Tensor {
  using pixels = Tensor.from(rgb, [1, sceneSide, sceneSide, 3])
  using planes = pixels.permute([0, 3, 1, 2])
  using floats = planes.to({ dtype: 'float32' })
  using scaled = floats.div(255)
  return standardize(scaled, imagenet)
}

// The pointing game of Zhang et al. 2016 (arXiv:1608.00507), on scenes that the model has never seen: the model was told
// which animals are in a scene, never where.
test('on held-out scenes the peak of each Grad-CAM lies inside the animal of its class', async (t) => {
  using model = await ScriptModule.load(modelFile)
  using gradCam = new GradCam(model, ['features'])
  using game = new PointingGame(model)
  const asked: string[] = []
  for (let seed = heldOutSeeds; seed < heldOutSeeds + scenes; seed++) {
    const { boxes, rgb } = await renderScene(seed)
    using input = toInput(rgb)
    using logits = await gradCam.forward(input)
    t.deepEqual([...logits.shape], [1, labels.length])
    for (const box of boxes) {
      await gradCam.backward(box.class)
      using cam = gradCam.get('features')
      await game.add(input, cam, { boxes: [box] })
      asked.push(`${box.label} of scene ${seed}`)
    }
  }
  const { perImage, mean: rate } = game.result()
  const misses = asked.filter((_, i) => perImage[i] === 0)
  const hits = perImage.length - misses.length
  t.log(`${hits} of ${2 * scenes} peaks inside (${(100 * rate).toFixed(1)} %)`)
  t.true(rate >= 0.95, `only ${hits} of ${2 * scenes}; missed: ${misses.join(', ')}`)
})
