import test from 'ava'
import { felzenszwalb, InputAttribution, liveTensors, manualSeed, ScriptModule, Tensor } from '../../lib/index.js'
import { needing } from '../support/needs.js'
import { assertParity } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'
import { sampleModel } from '../support/batch.js'

manualSeed(0)

const small = { size: [3, 3, 16, 20], large: false }
const models = {
  'shared segmentations': { net: 'plain_double', classes: [0, 1, 2], shared: true, ...small },
  'own segmentations': { net: 'curved', classes: [2, 1, 4], shared: false, ...small },
  felzenszwalb: { net: 'plain_double', classes: [3, 0], shared: false, size: [2, 3, 224, 224], large: true },
}
/** As test/python/peer_regions.py has them. */
const steps = 20
const peer = await peerReference('peer_regions.py', { models })
const run = needing('peers', peer, test.serial)

for (const [name, { classes, large }] of Object.entries(models))
  run(`${name}: XRAI is PAIR's on Captum's integrated gradients`, async (t) => {
    using model = await ScriptModule.load(peer!.file(name, 'scripted'))
    using input = toTensor(peer!.input(name))
    using labels = large ? null : toTensor(peer!.tensor(name, 'pair', 'labels'))
    const regions = labels ? [0, 1, 2].map((s) => labels.narrow(1, s, 1)) : undefined
    for (const batchSize of large ? [4] : [1, 7, 64]) {
      using explainer = new InputAttribution(model, { method: 'xrai', steps, batchSize, ...(regions && { regions }) })
      const seen: (readonly number[])[] = []
      using found = await explainer.explain(input, { target: classes, onProgress: (...at) => void seen.push(at) })
      t.deepEqual(found.attribution.shape, input.shape)
      t.deepEqual(seen.at(-1), [2 * steps, 2 * steps])
      for (const channel of [0, 2]) {
        using map = found.attribution.narrow(1, channel, 1)
        t.true(new Set(map.toTypedArray() as Float64Array).size > 20) // regions in each image
        assertParity(t, map, peer!.tensor(name, 'pair', 'xrai'), `${name}, batches of ${batchSize}`)
      }
    }
    if (regions) {
      // Copies without noise, several in a pass: each has the regions of its image.
      const smooth = { samples: 3, sigma: 0 }
      using explainer = new InputAttribution(model, { method: 'xrai', steps, batchSize: 64, regions, smooth })
      using found = await explainer.explain(input, { target: classes })
      using map = found.attribution.narrow(1, 0, 1)
      assertParity(t, map, peer!.tensor(name, 'pair', 'xrai'), `${name}, in copies`)
    }
    regions?.forEach((one) => one.dispose())
  })

test.serial(
  'images of any size have regions, whose mean is that of their pixels, and nothing is left behind',
  async (t) => {
    using model = await ScriptModule.load(sampleModel)
    using input = Tensor.randn([2, 3, 64, 80])
    const before = liveTensors()
    for (const smooth of [undefined, { samples: 2, sigma: 0.1 }]) {
      using own = new InputAttribution(model, { method: 'xrai', steps: 3, ...(smooth && { smooth }) })
      using found = await own.explain(input, { target: 1 })
      t.deepEqual(found.attribution.shape, [2, 3, 64, 80])
      t.is(found.delta, null)
    }
    t.is(liveTensors(), before)
    // Regions that do not overlap, each with the mean of what it adds: no sum is lost.
    const [height, width, side] = [64, 80, 16]
    const squares = Float32Array.from({ length: 3 * height * width }, (_, i) => {
      const [x, y] = [Math.floor((i % width) / side), Math.floor((Math.floor(i / width) % height) / side)]
      return ((x * 7 + y * 3) % 5) - 2
    })
    using one = Tensor.from(squares, [1, 3, height, width])
    using regions = await felzenszwalb(one)
    using whole = Tensor.zeros([1], { dtype: 'int64' })
    const meanBy = async (segmentation: Tensor) => {
      using divided = new InputAttribution(model, { method: 'xrai', steps: 3, regions: [segmentation] })
      using found = await divided.explain(one, { target: 1 })
      using mean = found.attribution.to({ dtype: 'float64' }).mean()
      using different = found.attribution.narrow(1, 0, 1)
      return { mean: mean.item(), values: new Set(different.toTypedArray() as Float32Array).size }
    }
    const [parts, together] = [await meanBy(regions), await meanBy(whole)]
    t.true(Math.abs(parts.mean - together.mean) < 1e-6 * Math.abs(together.mean) + 1e-9)
    t.is(together.values, 1)
    t.true(parts.values > 3)
  },
)

test('regions that are not segmentations of the images are refused', async (t) => {
  using model = await ScriptModule.load(sampleModel)
  using floats = Tensor.zeros([1, 1, 32, 32])
  using few = Tensor.zeros([1, 1, 3, 3], { dtype: 'int64' })
  const make = (regions: readonly Tensor[]) => new InputAttribution(model, { method: 'xrai', regions })
  t.throws(() => make([]), { code: 'ERR_INVALID_ARGUMENT', message: /regions/ })
  t.throws(() => make([floats]), { code: 'ERR_DTYPE', message: /regions/ })
  using explainer = make([few])
  using input = Tensor.rand([1, 3, 32, 32])
  await t.throwsAsync(explainer.explain(input), { code: 'ERR_SHAPE', message: /`regions`/ })
  const stopped = new Error('stopped')
  using own = new InputAttribution(model, { method: 'xrai', steps: 2 })
  await t.throwsAsync(own.explain(input, { signal: AbortSignal.abort(stopped) }), { is: stopped })
})
