import test, { type ExecutionContext } from 'ava'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Cam,
  Deletion,
  emptyCache,
  explainAll,
  FaithfulnessCorrelation,
  GradCam,
  GradCamError,
  Infidelity,
  InputAttribution,
  InputPerturbation,
  manualSeed,
  ScriptModule,
  setTensorMemoryLimit,
  Tensor,
  tensorMemory,
  type Metric,
} from '../../lib/index.js'
import { farthest } from '../support/arithmetic.js'
import { smallNets } from '../support/models.js'

manualSeed(0)

const nets = await smallNets()
const MiB = 2 ** 20
const size = [3, 192, 192] as const

test.serial.afterEach.always(() => setTensorMemoryLimit(Infinity))

/**
 * In float64: convolutions of another batch size round differently, and in float32 a random input or its noise brings some
 * ReLU within rounding of zero now and then, so that gradients jump. In float64 that is a billion times rarer.
 */
const load = () => ScriptModule.load(nets.file('plain_double'))
const rand = (shape: readonly number[]) => Tensor.rand(shape, { dtype: 'float64' })
const tolerance = 1e-9

/** The most that tensors hold at once during a call, beyond what they held before. */
async function peakOf(run: () => Promise<unknown>): Promise<number> {
  const live = await settledMemory()
  await run()
  return tensorMemory().mostLive - live
}

/** What tensors hold once it no longer falls: what a call held on the model's thread goes a moment after its promise. */
async function settledMemory(): Promise<number> {
  let live = Infinity
  for (let same = 0; same < 5; await sleep(10)) {
    same = tensorMemory().live < live ? 0 : same + 1
    live = Math.min(live, tensorMemory().live)
  }
  emptyCache()
  return live
}

/** What `run` gives with chunks that fit, by memory that chunks of one need and chunks of 32 do not have. */
async function explainShortOfMemory(t: ExecutionContext, run: (chunk: number) => Promise<Float64Array>): Promise<void> {
  const expected = await run(32)
  const [one, many] = [await peakOf(() => run(1)), await peakOf(() => run(32))]
  t.true(many > 3 * one, `chunks of 32 take ${many} bytes, of one ${one}`)
  // A job has a second chunk under way, and what the last one held may go late. Chunks of 32 need more than three times one.
  const limit = (await settledMemory()) + Math.round(one * 2.5)
  setTensorMemoryLimit(limit)
  const found = await run(32)
  t.true(tensorMemory().mostLive <= limit, `${tensorMemory().mostLive} of ${limit}`)
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  t.true(scale > 0)
  t.true(farthest(found, expected) <= tolerance * scale, `farthest ${farthest(found, expected)} of ${scale}`)
}

test.serial('a limit refuses what would exceed it, with a typed error, and the model stays usable', async (t) => {
  using model = await load()
  using gradCam = new GradCam(model, ['features'])
  using image = rand([1, ...size])
  using batch = rand([64, ...size])
  using before = await gradCam.explain(image, { target: 0 })
  emptyCache()
  const { live } = tensorMemory()
  setTensorMemoryLimit(live + 24 * MiB)
  t.is(tensorMemory().limit, live + 24 * MiB)
  const error = await t.throwsAsync(gradCam.explain(batch, { target: 0 }), { instanceOf: GradCamError })
  t.is(error?.code, 'ERR_OUT_OF_MEMORY')
  t.regex(error?.message ?? '', /limit of \d+ that was set.*smaller batches/)
  t.throws(() => Tensor.zeros([8 * MiB]), { code: 'ERR_OUT_OF_MEMORY' })
  t.is(tensorMemory().live, live, 'what failed left nothing behind')
  using after = await gradCam.explain(image, { target: 0 })
  t.deepEqual(after.cam.toTypedArray(), before.cam.toTypedArray())

  setTensorMemoryLimit(Infinity)
  t.is(tensorMemory().limit, Infinity)
  using all = await gradCam.explain(batch, { target: 0 })
  t.is(all.cam.shape[0], 64)
})

test.serial('idle memory is given up for a limit', (t) => {
  Tensor.zeros([4 * MiB]).dispose()
  t.true(tensorMemory().idle >= 16 * MiB)
  setTensorMemoryLimit(tensorMemory().live + 20 * MiB)
  t.is(tensorMemory().idle, 0)
  Tensor.zeros([4 * MiB]).dispose()
  using other = Tensor.zeros([3 * MiB]) // beside the idle 16 MiB it would be too much
  t.true(other.size === 3 * MiB && tensorMemory().idle === 0)
})

for (const bytes of [-1, 0.5, NaN, '1' as never])
  test.serial(`${String(bytes)} is not a limit`, (t) => {
    t.throws(() => setTensorMemoryLimit(bytes), { code: 'ERR_INVALID_ARGUMENT' })
  })

for (const method of ['scorecam', 'ablationcam'] as const)
  test.serial(`${method} takes smaller chunks where memory runs out`, async (t) => {
    using model = await load()
    using input = rand([1, ...size])
    await explainShortOfMemory(t, async (chunkSize) => {
      using cam = new Cam(model, { layers: ['features.2'], methods: [method], chunkSize, execution: 'hooked' })
      using found = await cam.explain(input, { target: 1 })
      return found.cam.toTypedArray() as Float64Array
    })
  })

test.serial('occlusion takes smaller batches where memory runs out', async (t) => {
  using model = await load()
  using input = rand([1, ...size])
  await explainShortOfMemory(t, async (batchSize) => {
    using occlusion = new InputPerturbation(model, {
      method: 'occlusion',
      window: [16, 16],
      stride: [12, 12],
      batchSize,
    })
    using found = await occlusion.explain(input, { target: 1 })
    return found.attribution.toTypedArray() as Float64Array
  })
})

for (const [name, options] of Object.entries({
  'integrated gradients': { method: 'integrated-gradients', steps: 40 },
  SmoothGrad: { method: 'saliency', smooth: { samples: 40, sigma: 0.1 } },
} as const))
  test.serial(`${name} takes smaller batches where memory runs out`, async (t) => {
    using model = await load()
    using input = rand([1, ...size])
    await explainShortOfMemory(t, async (batchSize) => {
      using attribution = new InputAttribution(model, { ...options, batchSize })
      using found = await attribution.explain(input, { target: 1 })
      return found.attribution.toTypedArray() as Float64Array
    })
  })

for (const [name, create] of Object.entries({
  deletion: (model: ScriptModule, batchSize: number) => new Deletion(model, { steps: 40, batchSize }),
  // These keep numbers of each copy beside its score.
  infidelity: (model: ScriptModule, batchSize: number) => new Infidelity(model, { samples: 40, batchSize }),
  faithfulness: (model: ScriptModule, batchSize: number) =>
    new FaithfulnessCorrelation(model, { samples: 40, batchSize }),
}))
  test.serial(`${name} takes smaller batches where memory runs out`, async (t) => {
    using model = await load()
    using input = rand([1, ...size])
    using map = rand([1, 1, ...size.slice(1)])
    await explainShortOfMemory(t, async (batchSize) => {
      using metric: Metric = create(model, batchSize)
      await metric.add(input, map, { targets: 1 })
      const { perImage, curve } = metric.result()
      return Float64Array.from([...perImage, ...curve])
    })
  })

test.serial('a batch job halves its batches where memory runs out, and loses nothing', async (t) => {
  using model = await load()
  const inputs = Array.from({ length: 24 }, (_, i) => ({ id: `${i}`, tensor: rand(size), target: i % 3 }))
  const run = async (batchSize: number): Promise<Float64Array> => {
    const maps: number[] = []
    for await (const result of explainAll(inputs, { model, layer: 'features', batchSize, window: 32 })) {
      if (!result.ok) throw result.error
      maps.push(...(result.map.toTypedArray() as Float64Array))
      result.dispose()
    }
    return Float64Array.from(maps)
  }
  try {
    await explainShortOfMemory(t, run)
  } finally {
    for (const { tensor } of inputs) tensor.dispose()
  }
})
