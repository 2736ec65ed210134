import test from 'ava'
import {
  disposeValue,
  explainAll,
  InputPerturbation,
  liveTensors,
  perturbationMethods,
  ScriptModule,
  Tensor,
  type BatchExplanation,
  type InputPerturbationOptions,
  type Value,
} from '../../lib/index.js'
import { heldTensors } from '../support/live-tensors.js'
import { smallNets } from '../support/models.js'
import { assertSame, relativeError } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'

const nets = await smallNets()
const load = (net: string) => ScriptModule.load(nets.file(net))
const tensorsOf = (value: Value): Tensor[] =>
  value instanceof Tensor
    ? [value]
    : typeof value === 'object' && value !== null
      ? Object.values(value as Record<string, Value>).flatMap(tensorsOf)
      : []
const values = (tensor: Tensor) => ({ shape: [...tensor.shape], data: tensor.toTypedArray() as Float64Array })

test.serial('nothing depends on the batch size or on what else is in the batch', async (t) => {
  using model = await load('curved')
  using input = toTensor(nets.input('curved'))
  using second = input.narrow(0, 1, 1)
  using features = Tensor.from([[0, 1, 2, 3]], [1, 1, 4], { dtype: 'int64' }).repeat([1, 16, 5])
  for (const options of [
    { method: 'occlusion' },
    { method: 'feature-ablation', features },
    { method: 'rise', masks: 20, seed: 4 },
    { method: 'lime', samples: 30, segments: 6 },
    { method: 'kernel-shap', samples: 30, segments: 6 },
    { method: 'shapley-sampling', samples: 3, segments: 6 },
  ] satisfies InputPerturbationOptions[]) {
    const make = async (x: Tensor, target: readonly number[], batchSize: number) => {
      using perturbation = new InputPerturbation(model, { ...options, batchSize })
      using found = await perturbation.explain(x, { target })
      return values(found.attribution)
    }
    const whole = await make(input, [1, 2, 3], 1)
    for (const batchSize of [6, 1000]) {
      using again = Tensor.from((await make(input, [1, 2, 3], batchSize)).data, whole.shape)
      assertSame(t, again, whole, `${options.method}, ${batchSize}`, 1e-10)
    }
    using all = Tensor.from(whole.data, whole.shape)
    using own = all.narrow(0, 1, 1)
    assertSame(t, own, await make(second, [2], 16), `${options.method}, alone`, 1e-10)
  }
})

test.serial(
  'by default a window is an eighth of each dimension after the channels, and moves by half of it',
  async (t) => {
    using model = await load('plain')
    using input = toTensor(nets.input('plain')) // [2, 3, 16, 20]
    using byDefault = new InputPerturbation(model, { method: 'occlusion' })
    using found = await byDefault.explain(input, { target: 1 })
    using same = new InputPerturbation(model, { method: 'occlusion', window: [2, 3], stride: [1, 2] })
    using expected = await same.explain(input, { target: 1 })
    assertSame(t, found.attribution, values(expected.attribution), 'default', 1e-6)
    t.is(found.runs, 15 * 10)
    // The channels are covered together, so each has the same map.
    using first = found.attribution.narrow(1, 0, 1)
    using everywhere = first.repeat([1, 3, 1, 1])
    t.deepEqual(found.attribution.tolist(), everywhere.tolist())
  },
)

test.serial('every kind of target goes through the changed inputs, and a function one by one', async (t) => {
  using model = await load('curved')
  using input = toTensor(nets.input('curved'))
  using second = input.narrow(0, 1, 1)
  using occlusion = new InputPerturbation(model, { method: 'occlusion', window: [8, 10] })
  using expected = await occlusion.explain(second, { target: 2 })
  using byFunction = await occlusion.explain(second, { target: (logits) => logits.select(1, 2).sum() })
  assertSame(t, byFunction.attribution, values(expected.attribution), 'function', 1e-12)
  t.deepEqual(byFunction.targets, [])
  using top = await occlusion.explain(input)
  using byClass = await occlusion.explain(input, { target: [...top.targets] })
  assertSame(t, top.attribution, values(byClass.attribution), 'the top class of the input', 1e-12)
  using difference = await occlusion.explain(second, { target: { kind: 'difference', class: 4, minus: 2 } })
  using fourth = await occlusion.explain(second, { target: 4 })
  using sum = difference.attribution.add(expected.attribution)
  assertSame(t, sum, values(fourth.attribution), 'difference', 1e-10)

  using rise = new InputPerturbation(model, { method: 'rise', masks: 10 })
  using probable = await rise.explain(input, { target: 2 })
  using asData = await rise.explain(input, { target: { kind: 'probability', class: 2 } })
  assertSame(t, probable.attribution, values(asData.attribution), 'the probability of a class', 1e-12)
  using logits = await rise.explain(input, { target: { kind: 'class', class: 2 } })
  t.true(relativeError(logits.attribution.toTypedArray(), asData.attribution.toTypedArray()) > 0.1)
})

test.serial('of several inputs the first is changed; hooks run, and a detach does not block', async (t) => {
  using model = await load('multi_input')
  using input = toTensor(nets.input('multi_input'))
  using scale = Tensor.full([1], 2)
  using occlusion = new InputPerturbation(model, { method: 'occlusion', window: [8, 10] })
  using found = await occlusion.explain([input, scale], { target: 1 })
  using doubled = input.mul(2)
  using expected = await occlusion.explain(doubled, { target: 1 })
  assertSame(t, found.attribution, values(expected.attribution), 'scaled', 1e-5)

  using detached = await load('detached')
  using other = new InputPerturbation(detached, { method: 'occlusion', window: [8, 10], batchSize: 1 })
  using image = toTensor(nets.input('detached'))
  using split = await other.explain(image, { target: 0 })
  t.deepEqual(split.execution, { path: 'split' })
  let calls = 0
  using _hook = detached.registerForwardHook('', () => void calls++)
  using hooked = await other.explain(image, { target: 0 })
  t.is(hooked.execution.path, 'hooked')
  t.is(calls, hooked.runs + 1)
  assertSame(t, hooked.attribution, values(split.attribution), 'hooked', 1e-5)
})

test.serial('every small net gives the same output when it is frozen as a whole', async (t) => {
  for (const kind of ['scripted', 'traced'] as const)
    for (const net of nets.names(kind)) {
      using model = await ScriptModule.load(nets.file(net, kind))
      using input = toTensor(nets.input(net))
      using occlusion = new InputPerturbation(model, { method: 'occlusion', window: [...input.shape.slice(1)] })
      using found = await occlusion.explain<Value>(input, { target: () => Tensor.zeros([]) })
      const { execution, output } = found
      t.deepEqual(execution, { path: 'split' }, net)
      const expected = await model.forward<Value>(input)
      for (const [i, tensor] of tensorsOf(output).entries())
        assertSame(t, tensor, values(tensorsOf(expected)[i] as Tensor), `${net} ${kind}`, 1e-5)
      t.is(tensorsOf(output).length, tensorsOf(expected).length)
      disposeValue(expected)
    }
})

test.serial('progress is told, an abort or a closing ends it, and nothing is left behind', async (t) => {
  using model = await load('plain')
  using input = toTensor(nets.input('plain'))
  const before = await heldTensors()
  {
    const steps: [number, number][] = []
    using occlusion = new InputPerturbation(model, { method: 'occlusion', window: [8, 10], batchSize: 8 })
    using _found = await occlusion.explain(input, { onProgress: (...step) => steps.push(step) })
    t.deepEqual(steps, [
      [4, 9],
      [8, 9],
      [9, 9],
    ])
    const reason = new Error('enough')
    const stopping = new AbortController()
    const aborted = occlusion.explain(input, { signal: stopping.signal, onProgress: () => stopping.abort(reason) })
    t.is(await aborted.catch((error: unknown) => error), reason)
    const fail = () => {
      throw reason
    }
    t.is(await occlusion.explain(input, { onProgress: fail }).catch((error: unknown) => error), reason)
    await t.throwsAsync(occlusion.explain(input, { target: 7 }), { code: 'ERR_TARGET_OUT_OF_RANGE' })
    let calls = 0
    const target = (logits: Tensor) => (++calls > 2 ? fail() : logits.sum())
    t.is(await occlusion.explain(input, { target }).catch((error: unknown) => error), reason)
    for (const method of perturbationMethods) {
      const closing = new InputPerturbation(model, { method })
      const closed = closing.explain(input, { onProgress: () => closing.dispose() })
      await t.throwsAsync(closed, { code: 'ERR_CLOSED' }, method)
    }
  }
  t.is(liveTensors(), before)
})

test.serial('options and inputs that make no sense are refused', async (t) => {
  using model = await load('plain')
  using input = toTensor(nets.input('plain'))
  using floats = Tensor.zeros([16, 20])
  using wide = Tensor.zeros([1, 1, 16, 21], { dtype: 'int64' })
  const atOnce: [unknown, RegExp][] = [
    [null, /`options` must be an object/],
    [{ method: 'lemon' }, /`method` must be .*, but is 'lemon'/],
    [{ method: 'rise', batchSize: 0 }, /`batchSize` must be an integer from 1 on, but is 0/],
    [{ method: 'occlusion', baseline: Number.NaN }, /`baseline` must be a finite number or a Tensor/],
    [{ method: 'occlusion', execution: 'fast' }, /`execution` must be 'auto', 'split' or 'hooked'/],
  ]
  for (const [options, message] of atOnce)
    t.throws(() => new InputPerturbation(model, options as InputPerturbationOptions), {
      code: 'ERR_INVALID_ARGUMENT',
      message,
    })
  const before = await heldTensors()
  const onInput: [InputPerturbationOptions, string, RegExp][] = [
    [
      { method: 'occlusion', window: [0, 2] },
      'ERR_INVALID_ARGUMENT',
      /`window` must be an integer from 1 on, or an array of them/,
    ],
    [{ method: 'occlusion', window: [2, 2], stride: [1] }, 'ERR_INVALID_ARGUMENT', /`stride` as many/],
    [{ method: 'occlusion', window: [1, 1, 1, 1] }, 'ERR_INVALID_ARGUMENT', /1 to 3 dimensions/],
    [{ method: 'occlusion', window: [4, 21] }, 'ERR_INVALID_ARGUMENT', /21 does not fit into a dimension of 20/],
    [{ method: 'occlusion', window: [4, 4], stride: [5, 4] }, 'ERR_INVALID_ARGUMENT', /leaves gaps/],
    [{ method: 'occlusion', baseline: wide }, 'ERR_SHAPE', /baseline has the shape \[1, 1, 16, 21\]/],
    [{ method: 'feature-ablation', features: floats }, 'ERR_DTYPE', /integers/],
    [{ method: 'feature-ablation', features: wide }, 'ERR_SHAPE', /feature mask has the shape/],
    [{ method: 'rise', masks: 0 }, 'ERR_INVALID_ARGUMENT', /`masks` must be an integer from 1 on/],
  ]
  for (const [options, code, message] of onInput) {
    using perturbation = new InputPerturbation(model, options)
    await t.throwsAsync(perturbation.explain(input), { code, message })
  }
  using rise = new InputPerturbation(model, { method: 'rise' })
  await t.throwsAsync(rise.explain(floats), { code: 'ERR_SHAPE' })
  await t.throwsAsync(rise.explain('image'), { code: 'ERR_INVALID_ARGUMENT' })
  t.is(liveTensors(), before)
})

test.serial('batches are explained by occlusion and RISE', async (t) => {
  using model = await load('plain')
  using input = toTensor(nets.input('plain'))
  const inputs = [0, 1].map((i) => input.narrow(0, i, 1))
  for (const method of ['occlusion', 'rise'] as const) {
    using perturbation = new InputPerturbation(model, { method })
    using expected = await perturbation.explain(input, { target: 2 })
    using mean = expected.attribution.mean(1, true)
    let images = 0
    for await (const result of explainAll(inputs, { model, method, target: 2, batchSize: 2 })) {
      using found = result as BatchExplanation
      using own = mean.narrow(0, images++, 1)
      assertSame(t, found.map, { shape: [...found.map.shape], data: own.toTypedArray() as Float32Array }, method)
      t.is(found.target, 2)
    }
    t.is(images, 2)
  }
  for (const tensor of inputs) tensor.dispose()
})
