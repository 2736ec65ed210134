import test from 'ava'
import { Cam, ScriptModule, Tensor, explainAll, manualSeed, type CamMethod, type CamOptions } from '../../lib/index.js'
import { farthest } from '../support/arithmetic.js'
import { smallNets } from '../support/models.js'
import { assertSame } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'

manualSeed(0)

const nets = await smallNets()
const methods = ['ablationcam', 'scorecam'] as const satisfies readonly CamMethod[]
const sample = 'samples/animals-densenet.pt'

const values = (tensor: Tensor) => ({ shape: [...tensor.shape], data: tensor.toTypedArray() as Float32Array })

test.serial('they need no gradient, and differentiate nothing', async (t) => {
  using model = await ScriptModule.load(nets.file('detached'))
  using input = toTensor(nets.input('detached'))
  using cam = new Cam(model, { layers: ['features'], methods })
  using _logits = await cam.forward(input)
  await cam.backward(0)
  t.throws(() => cam.gradient('features'), { code: 'ERR_NO_GRADIENT' })
  using found = await cam.explain(input, { target: 0 })
  for (const method of methods) {
    using map = cam.get('features', method)
    assertSame(t, map, values(found.get('features', method)), method, 1e-6)
  }
})

test.serial('a target that is a function is refused, and so is a chunk of nothing', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  for (const method of methods) {
    using cam = new Cam(model, { layers: ['features'], methods: ['gradcam', method] })
    await t.throwsAsync(cam.explain(input, { target: (logits) => logits.sum() }), {
      code: 'ERR_TARGET',
      message: new RegExp(`${method} runs the model again`),
    })
    using _found = await cam.explain(input, { target: 1 })
  }
  for (const chunkSize of [0, 1.5, '4' as never])
    t.throws(() => new Cam(model, { layers: ['features'], chunkSize }), { code: 'ERR_INVALID_ARGUMENT' })
})

test.serial('channels that are zero need no run, and constant ones share one', async (t) => {
  using model = await ScriptModule.load(nets.file('pooled_linear'))
  using input = toTensor(nets.input('pooled_linear'))
  // What the first convolution makes of black images is its bias, of which the ReLU leaves what is positive.
  using black = input.mul(0)
  const layers = ['features.1']
  using plain = new Cam(model, { layers })
  using _logits = await plain.forward(black)
  await plain.backward(1)
  using activation = plain.activation('features.1')
  const channels = distinct(activation)
  t.true(channels > 0 && channels < 3 * 6)
  for (const [method, copies] of [
    ['ablationcam', 3 + channels],
    ['scorecam', 3],
  ] as const) {
    using cam = new Cam(model, { layers, methods: [method], chunkSize: 64 })
    using expected = await cam.explain(black, { target: 1 })
    t.is(expected.execution.path, 'split')
    const rows: number[] = []
    using _count = model.registerForwardHook('head', (_module, _inputs, output) => {
      rows.push((output as Tensor).shape[0]!)
    })
    using found = await cam.explain(black, { target: 1 })
    t.deepEqual(rows, [3, copies], method)
    assertSame(t, found.cam, values(expected.cam), 'hooked', 1e-9)
  }
})

/** How many channels of [N, C, h, w] are not all zero. */
function distinct(activation: Tensor): number {
  const [images = 1, channels = 1] = activation.shape
  const data = activation.toTypedArray() as Float64Array
  const size = data.length / images / channels
  let count = 0
  for (let at = 0; at < images * channels; at++)
    if (data.subarray(at * size, (at + 1) * size).some((value) => value !== 0)) count++
  return count
}

test.serial('of several inputs the first is masked, and the others go with their images', async (t) => {
  using model = await ScriptModule.load(nets.file('multi_input'))
  using input = toTensor(nets.input('multi_input'))
  using scale = Tensor.from(Float32Array.from([0.5, 2]), [2, 1, 1, 1])
  using product = input.mul(scale)
  for (const execution of ['split', 'hooked'] as const) {
    const options: CamOptions = { layers: ['features'], methods, execution, compat: 'captum', chunkSize: 5 }
    using cam = new Cam(model, options)
    using apart = await cam.explain([input, scale], { target: [0, 3] })
    using together = await cam.explain(product, { target: [0, 3] })
    for (const method of methods)
      assertSame(t, apart.get(undefined, method), values(together.get(undefined, method)), method, 1e-4)
  }
})

test.serial(
  'the first pass of a model that refuses channels-last memory has maps of the size of its input',
  async (t) => {
    using model = await ScriptModule.load(nets.file('viewed'))
    using input = toTensor(nets.input('viewed'))
    using cam = new Cam(model, { layers: ['features'], compat: 'pytorch-grad-cam' })
    using found = await cam.explain(input, { target: 1 })
    t.deepEqual(found.cam.shape.slice(2), input.shape.slice(2))
  },
)

test.serial('the top classes, each by itself, and a job of many images', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  using cam = new Cam(model, { layers: ['features'], methods })
  for (const found of await cam.explainTop(input, 2)) {
    using alone = await cam.explain(input, { target: found.targets })
    for (const method of methods)
      assertSame(t, found.get(undefined, method), values(alone.get(undefined, method)), method, 1e-4)
    found.dispose()
  }
  for (const method of methods) {
    using image = input.narrow(0, 0, 1)
    const job = explainAll([image], { model, method, layer: 'features', target: 1 })
    for await (const result of job) {
      if (!result.ok) throw result.error
      using alone = await cam.explain(image, { target: 1 })
      const expected = alone.get(undefined, method).toTypedArray() as Float32Array
      t.true(farthest(result.map.toTypedArray() as Float32Array, expected) <= 1e-5, method)
      result.dispose()
    }
  }
})

for (const method of methods)
  test.serial(`${method} stops between its runs when it is aborted or closed`, async (t) => {
    using model = await ScriptModule.load(sample)
    using input = Tensor.rand([1, 3, 224, 224])
    using cam = new Cam(model, { layers: ['features.denseblock1'], methods: [method] })
    const start = performance.now()
    using _whole = await cam.explain(input)
    const duration = performance.now() - start
    const abort = new AbortController()
    const begin = performance.now()
    const pending = cam.explain(input, { signal: abort.signal })
    setTimeout(() => abort.abort(), duration / 10)
    await t.throwsAsync(pending, { any: true, name: 'AbortError' })
    using small = Tensor.rand([1, 3, 32, 32])
    using quick = new Cam(model, { layers: ['features'] })
    using _after = await quick.explain(small)
    t.true(performance.now() - begin < duration, 'it ended early')
    const closing = cam.explain(small)
    cam.close()
    await closing.then(
      (found) => found.dispose(),
      (error: unknown) => t.like(error, { name: 'GradCamError' }),
    )
  })
