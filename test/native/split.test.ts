import test, { type ExecutionContext } from 'ava'
import {
  Cam,
  GradCam,
  GuidedBackprop,
  ScriptModule,
  Tensor,
  interpolate,
  manualSeed,
  numThreads,
  setNumThreads,
} from '../../lib/index.js'
import { smallNets } from '../support/models.js'
import { relativeError } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'

manualSeed(0)

// The maps of split models are held to PyTorch's in parity-small-nets.test.ts and parity-gradcam.test.ts.
const nets = await smallNets()
const sample = new URL('../../../samples/animals-densenet.pt', import.meta.url)

test('hooks of the user are called, so the model runs hooked while there are some', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  using gradCam = new GradCam(model, ['features'])
  using split = await gradCam.explain(input, { target: 0 })
  t.deepEqual(split.execution, { path: 'split' })
  let calls = 0
  const handle = model.registerForwardHook('features.0', () => void calls++)
  using hooked = await gradCam.explain(input, { target: 0 })
  t.is(calls, 1)
  t.regex((hooked.execution as { why: string }).why, /hooks are registered/)
  handle.remove()
  using again = await gradCam.explain(input, { target: 0 })
  t.deepEqual(again.execution, { path: 'split' })
  t.deepEqual(again.cam.toTypedArray(), split.cam.toTypedArray())
})

test('the model itself is as it was after it was split', async (t) => {
  using model = await ScriptModule.load(nets.file('dense'))
  using input = toTensor(nets.input('dense'))
  using before = await model.forward(input)
  using gradCam = new GradCam(model, ['layer2'], { execution: 'split' })
  using _found = await gradCam.explain(input, { target: 0 })
  using after = await model.forward(input)
  t.deepEqual(after.toTypedArray(), before.toTypedArray())
  let seen = 0
  using _handle = model.registerForwardHook('layer1.conv2', () => void seen++)
  using _output = await model.forward(input)
  t.is(seen, 1)
})

test('what cannot be split is refused where a split was asked for, with the reason', async (t) => {
  using model = await ScriptModule.load(nets.file('called_twice'))
  using input = toTensor(nets.input('called_twice'))
  for (const options of [{ execution: 'split' }, { precision: 'bfloat16' }] as const) {
    using gradCam = new GradCam(model, ['shared'], options)
    for (const time of ['first', 'second']) {
      await t.throwsAsync(
        gradCam.explain(input),
        { name: 'GradCamError', code: 'ERR_NOT_SPLITTABLE', message: /in 2 places/ },
        time,
      )
    }
  }
  using double = await ScriptModule.load(nets.file('plain_double'))
  using inDouble = toTensor(nets.input('plain_double'))
  using reduced = new GradCam(double, ['features'], { precision: 'bfloat16' })
  await t.throwsAsync(reduced.explain(inDouble), { code: 'ERR_NOT_SPLITTABLE', message: /models in float32.*Double/ })
})

test('options that say nothing are refused', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  const code = { name: 'GradCamError', code: 'ERR_INVALID_ARGUMENT' }
  t.throws(() => new GradCam(model, ['features'], { execution: 'fast' as never }), {
    ...code,
    message: /split.*'fast'/,
  })
  t.throws(() => new GradCam(model, ['features'], { precision: 'int8' as never }), { ...code, message: /'int8'/ })
  t.throws(() => new GradCam(model, ['features'], { execution: 'hooked', precision: 'bfloat16' }), code)
  t.throws(() => new GuidedBackprop(model, { execution: 1 as never }), code)
})

test('wrong inputs get the error of the model, and a later right one still runs split', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  using gradCam = new GradCam(model, ['features'])
  using grey = Tensor.ones([1, 1, 16, 20])
  await t.throwsAsync(gradCam.explain(grey), { code: 'ERR_CHANNELS', message: /3 channels/ })
  await t.throwsAsync(gradCam.explain([]), { code: 'ERR_INVALID_ARGUMENT' })
  using found = await gradCam.explain(input)
  t.deepEqual(found.execution, { path: 'split' })
})

test('methods that look at activations alone run split, without any graph', async (t) => {
  using model = await ScriptModule.load(nets.file('detached'))
  using input = toTensor(nets.input('detached'))
  using eigen = new Cam(model, { layers: ['features'], methods: ['eigencam'] })
  using other = new Cam(model, { layers: ['features'], methods: ['eigencam'], execution: 'hooked' })
  using found = await eigen.explain(input)
  using expected = await other.explain(input)
  t.true(relativeError(found.cam.toTypedArray(), expected.cam.toTypedArray()) < 1e-5)
})

test('guided backprop keeps the arithmetic of the model unless a split is asked for', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  using exact = new GuidedBackprop(model)
  using split = new GuidedBackprop(model, { execution: 'split' })
  using expected = await exact.explain(input, { target: 0 })
  using found = await split.explain(input, { target: 0 })
  t.regex((expected.execution as { why: string }).why, /rounding/)
  t.deepEqual(found.execution, { path: 'split' })
  t.is(found.intercepted, expected.intercepted)
  t.true(relativeError(found.gradient.toTypedArray(), expected.gradient.toTypedArray()) < 1e-5)
})

test('a split pass can be aborted, and the explainer goes on', async (t) => {
  using model = await ScriptModule.load(sample)
  // Many images, so that a timer that a busy machine delays still comes in the middle of the pass.
  using input = Tensor.rand([32, 3, 256, 256])
  using gradCam = new GradCam(model, ['features'])
  using whole = await gradCam.explain(input)
  const start = performance.now()
  using second = await gradCam.explain(input)
  const duration = performance.now() - start
  const abort = new AbortController()
  const begin = performance.now()
  const pending = gradCam.explain(input, { signal: abort.signal })
  setTimeout(() => abort.abort(), duration / 10)
  await t.throwsAsync(pending, { any: true, name: 'AbortError' })
  // The next one would have to wait for the end of the pass if only the promise had been given up.
  using small = Tensor.rand([1, 3, 32, 32])
  using _after = await gradCam.explain(small)
  t.true(performance.now() - begin < duration, 'the pass ended early')
  t.deepEqual(second.cam.toTypedArray(), whole.cam.toTypedArray())
})

/** Places in the order of their values. */
const ranks = (values: ArrayLike<number>): Float64Array => {
  const ranked = new Float64Array(values.length)
  const order = Array.from(values, (_, i) => i).toSorted((a, b) => (values[a] as number) - (values[b] as number))
  for (const [rank, place] of order.entries()) ranked[place] = rank
  return ranked
}

test('with bfloat16 before the layer, maps keep their order and their peak', async (t) => {
  using model = await ScriptModule.load(sample)
  using exact = new GradCam(model, ['features'])
  using reduced = new GradCam(model, ['features'], { precision: 'bfloat16' })
  using image = Tensor.rand([1, 3, 7, 7])
  using input = interpolate(image, [224, 224])
  using expected = await exact.explain(input)
  using found = await reduced.explain(input)
  t.is(found.cam.dtype, 'float32')
  t.deepEqual(found.execution, { path: 'split' })
  t.deepEqual(found.targets, expected.targets)
  const [a, b] = [ranks(found.cam.toTypedArray() as Float32Array), ranks(expected.cam.toTypedArray() as Float32Array)]
  const middle = (a.length - 1) / 2
  let product = 0
  let square = 0
  for (const [i, rank] of a.entries()) {
    product += (rank - middle) * ((b[i] as number) - middle)
    square += (rank - middle) ** 2
  }
  t.true(product / square > 0.98, `Spearman's rank correlation ${product / square}`)
  t.not(found.scores[0], expected.scores[0], 'which shows that something was computed in less')
})

test('bfloat16 rounds every channel, and no NaN is lost where operators are fused', async (t) => {
  using model = await ScriptModule.load(nets.file('wide'))
  using exact = new GradCam(model, ['last'], { execution: 'hooked' })
  using reduced = new GradCam(model, ['last'], { precision: 'bfloat16' })
  using input = toTensor(nets.input('wide'))
  using expected = await exact.explain(input)
  using found = await reduced.explain(input)
  const error = relativeError(found.output.toTypedArray(), expected.output.toTypedArray())
  t.true(error > 1e-4 && error < 1e-2, `bfloat16 has eight bits: ${error}`)

  const values = Float32Array.from(input.toTypedArray() as Float32Array)
  values[0] = NaN
  using broken = Tensor.from(values, input.shape)
  await t.throwsAsync(reduced.explain(broken), { code: 'ERR_NOT_SPLITTABLE', message: /NaN or infinity/ })
  using usual = new GradCam(model, ['last'])
  using flagged = await usual.explain(broken)
  t.is(flagged.execution.path, 'hooked')
  t.deepEqual(flagged.maps[0]?.nonFinite, [true, false])
  using healed = await reduced.explain(input)
  t.deepEqual(healed.scores, found.scores, 'and the next input is explained as ever')
})

test.serial('models run side by side, each with its own number of threads', async (t) => {
  const usual = numThreads()
  setNumThreads(2)
  t.teardown(() => setNumThreads(usual))
  using one = await ScriptModule.load(sample, { threads: 1 })
  using other = await ScriptModule.load(sample, { threads: 1 })
  t.is(numThreads(), 2, 'a number of its own is nobody else’s')
  using input = Tensor.rand([4, 3, 224, 224])
  using first = new GradCam(one, ['features'])
  using second = new GradCam(other, ['features'])
  const alone = await Promise.all([first.explain(input), second.explain(input)])
  t.deepEqual(alone[0].cam.toTypedArray(), alone[1].cam.toTypedArray())

  // While the first model's executor waits in a hook of ours, the second has to be able to run.
  let done = false
  using hook = one.registerForwardHook('features', () => void (done = true))
  const waiting = first.explain(input)
  using found = await second.explain(input)
  t.deepEqual(found.cam.toTypedArray(), alone[1].cam.toTypedArray())
  using _ = await waiting
  t.true(done)
  hook.remove()
  for (const explanation of alone) explanation.dispose()
  for (const threads of [0, 1.5, -1, Infinity, '2' as never])
    await t.throwsAsync(ScriptModule.load(sample, { threads }), { code: 'ERR_INVALID_ARGUMENT' })
})

// In float64, where rounding does not decide which ReLUs are open, among millions.
async function likeHooked(t: ExecutionContext, net: string, layer: string, images: number): Promise<void> {
  const classes = Array.from({ length: images }, (_, image) => image % 5)
  const methods = ['gradcam', 'layercam'] as const
  using model = await ScriptModule.load(nets.file(net))
  using input = Tensor.randn([images, 3, 16, 20], { dtype: 'float64' })
  using split = new Cam(model, { layers: [layer], methods, execution: 'split' })
  using hooked = new Cam(model, { layers: [layer], methods, execution: 'hooked' })
  using found = await split.explain(input, { target: classes })
  using expected = await hooked.explain(input, { target: classes })
  t.deepEqual(found.targets, classes)
  t.true(relativeError(found.scores, expected.scores) < 1e-9, net)
  t.true(relativeError(found.output.toTypedArray(), expected.output.toTypedArray()) < 1e-9, net)
  for (const method of methods) {
    const [map, other] = [found.get(layer, method), expected.get(layer, method)]
    t.deepEqual(map.shape, other.shape)
    t.true(relativeError(map.toTypedArray(), other.toTypedArray()) < 1e-9, `${net}, ${method}`)
  }
  await t.throwsAsync(split.explain(input, { target: classes.slice(1) }), { code: 'ERR_TARGET_COUNT' })
  await t.throwsAsync(split.explain(input, { target: 5 }), { code: 'ERR_TARGET_OUT_OF_RANGE' })
}

/** A few more than so many images of 224x224 have pixels. */
const imagesOfParts = (parts: number): number => Math.ceil((parts * 224 * 224) / (16 * 20)) + 100

test('large batches, whose heads run in parts, have the maps of the hooked model', async (t) => {
  for (const [net, layer] of [
    ['dense_double', 'layer3'],
    ['residual_double', 'blocks.1.bn2'],
    ['wide_double', 'last'],
  ] as const)
    await likeHooked(t, net, layer, imagesOfParts(16))
})

test('large batches at early layers, which run in parts up to the score, have the maps of the hooked model', async (t) => {
  // There convolutions follow the layer.
  for (const [net, layer] of [
    ['dense_double', 'layer1'],
    ['residual_double', 'stem'],
    ['residual_double', 'blocks.0.bn1'],
    ['wide_double', 'left'],
    ['plain_double', 'features.3'],
    ['curved', 'features'],
  ] as const)
    await likeHooked(t, net, layer, imagesOfParts(8))
})
