import test from 'ava'
import {
  GuidedBackprop,
  GuidedGradCam,
  InputAttribution,
  ScriptModule,
  Tensor,
  liveTensors,
  type InputAttributionOptions,
  type Smoothing,
  type Value,
} from '../../lib/index.js'
import { native } from '../../lib/addon/native.js'
import { heldTensors } from '../support/live-tensors.js'
import { farthest } from '../support/arithmetic.js'
import { smallNets } from '../support/models.js'
import { assertSame, relativeError } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'

const nets = await smallNets()
const load = (net: string) => ScriptModule.load(nets.file(net))
const values = (tensor: Tensor) => ({ shape: [...tensor.shape], data: tensor.toTypedArray() as Float64Array })

test('Gauss-Legendre quadrature is exact for polynomials up to degree 2 n - 1', (t) => {
  for (const n of [1, 2, 3, 10, 50, 200]) {
    const { points, weights } = native().gaussLegendre(n)
    for (const degree of [0, 1, 2 * n - 2, 2 * n - 1].filter((d) => d >= 0)) {
      const integral = points.reduce((sum, point, i) => sum + weights[i]! * point ** degree, 0)
      t.true(Math.abs(integral - 1 / (degree + 1)) < 1e-13, `${n} points, degree ${degree}`)
    }
  }
  const three = native().gaussLegendre(3)
  const root = Math.sqrt(3 / 5) / 2
  t.true(farthest(three.points, [0.5 - root, 0.5, 0.5 + root]) < 1e-15)
  t.true(farthest(three.weights, [5 / 18, 4 / 9, 5 / 18]) < 1e-15)
})

test.serial('integrated gradients add up to the difference of the scores', async (t) => {
  for (const [net, steps, bound] of [
    ['curved', 50, 1e-3],
    ['curved', 400, 1e-4],
  ] as const) {
    using model = await load(net)
    using input = toTensor(nets.input(net))
    using attribution = new InputAttribution(model, { method: 'integrated-gradients', steps, batchSize: 60 })
    using found = await attribution.explain(input, { target: 1 })
    using zero = input.mul(0)
    using atZero = await model.forward(zero)
    using atInput = await model.forward(input)
    const [from, to] = [atZero.tolist(), atInput.tolist()] as number[][][]
    using sums = found.attribution.sum([1, 2, 3])
    const delta = (sums.tolist() as number[]).map((sum, i) => sum - (to![i]![1]! - from![i]![1]!))
    t.true(farthest(found.delta!, delta) < 1e-12)
    for (const value of delta) t.true(Math.abs(value) < bound, `${net}: ${value}`)
  }
})

test.serial('nothing depends on the batch size, and smoothing only on its seed', async (t) => {
  using model = await load('curved')
  using input = toTensor(nets.input('curved'))
  const make = async (options: InputAttributionOptions) => {
    using attribution = new InputAttribution(model, options)
    using found = await attribution.explain(input)
    return values(found.attribution)
  }
  const smooth = { samples: 7, sigma: 0.5, seed: 3 }
  for (const options of [
    { method: 'gradient', smooth },
    { method: 'integrated-gradients', steps: 9 },
    { method: 'integrated-gradients', steps: 4, smooth },
  ] satisfies InputAttributionOptions[]) {
    const one = await make({ ...options, batchSize: 1 })
    for (const batchSize of [6, 14, 1000]) {
      using many = Tensor.from((await make({ ...options, batchSize })).data, one.shape)
      assertSame(t, many, one, `${options.method}, ${batchSize}`, 1e-12)
    }
  }
  const [first, other] = [
    await make({ method: 'gradient', smooth }),
    await make({ method: 'gradient', smooth: { seed: 4 } }),
  ]
  t.true(relativeError(first.data, other.data) > 0.01)
  using still = Tensor.from((await make({ method: 'gradient', smooth: { ...smooth, sigma: 0 } })).data, first.shape)
  assertSame(t, still, await make({ method: 'gradient' }), 'no noise', 1e-12)
})

test.serial('what methods with random numbers find for an image does not depend on its batch', async (t) => {
  const model = await load('plain')
  const input = toTensor(nets.input('plain'))
  const all = Tensor.cat([input, input.mul(0.5), input.flip([3])])
  const baseline = Tensor.cat([input.mul(0), input.mul(0).add(1), input.mul(0).sub(0.5)])
  const smooth = { samples: 3, sigma: 0.2, seed: 5 }
  for (const options of [
    { method: 'gradient-shap', steps: 4, seed: 3, baseline },
    { method: 'gradient-shap', steps: 2, seed: 3, baseline, smooth, batchSize: 1 },
    { method: 'integrated-gradients', steps: 3, smooth },
  ] as const) {
    using explainer = new InputAttribution(model, options)
    using together = await explainer.explain(all, { target: 1 })
    for (let image = 0; image < (all.shape[0] as number); image++) {
      using own = all.narrow(0, image, 1)
      using alone = await explainer.explain(own, { target: 1 })
      using found = together.attribution.narrow(0, image, 1)
      const error = relativeError(values(found).data, values(alone.attribution).data)
      t.true(error < 1e-5, `${options.method}, image ${image}: ${error}`)
    }
  }
})

test.serial('the variance of copies is that of their attributions, also where these are nearly the same', async (t) => {
  const model = await load('plain')
  const input = toTensor(nets.input('plain'))
  const attributionOf = async (smooth: Smoothing) => {
    using explainer = new InputAttribution(model, { method: 'integrated-gradients', steps: 4, batchSize: 1, smooth })
    using found = await explainer.explain(input, { target: 0 })
    return Array.from(found.attribution.toTypedArray(), Number)
  }
  const samples = 6
  for (const sigma of [0, 1e-5, 0.3]) {
    const copies: number[][] = []
    for (let seed = 0; seed < samples; seed++) copies.push(await attributionOf({ samples: 1, sigma, seed }))
    const expected = copies[0]!.map((_, i) => {
      const own = copies.map((copy) => copy[i] as number)
      const mean = own.reduce((sum, one) => sum + one, 0) / samples
      return own.reduce((sum, one) => sum + (one - mean) ** 2, 0) / samples
    })
    const found = await attributionOf({ kind: 'variance', samples, sigma })
    t.true(
      found.every((one) => one >= 0),
      `${sigma}: no variance is below 0`,
    )
    if (sigma === 0) t.true(found.every((one) => one === 0))
    else t.true(relativeError(found, expected) < 1e-5, `${sigma}: ${relativeError(found, expected)}`)
  }
})

test.serial('every kind of target goes through copies, and a function one by one', async (t) => {
  using model = await load('curved')
  using input = toTensor(nets.input('curved'))
  const options = { method: 'gradient', smooth: { samples: 3, sigma: 0.2 }, batchSize: 100 } as const
  using attribution = new InputAttribution(model, options)
  using expected = await attribution.explain(input, { target: [1, 2, 3] })
  using byFunction = await attribution.explain(input, {
    target: (logits) =>
      [1, 2, 3].map((chosen, i) => logits.select(0, i).select(0, chosen)).reduce((sum, score) => sum.add(score)),
  })
  assertSame(t, byFunction.attribution, values(expected.attribution), 'function', 1e-12)
  using byData = await attribution.explain(input, { target: { kind: 'class', class: [1, 2, 3] } })
  assertSame(t, byData.attribution, values(expected.attribution), 'data', 1e-12)
  using difference = await attribution.explain(input, { target: { kind: 'difference', class: 4, minus: [1, 2, 3] } })
  using fourth = await attribution.explain(input, { target: 4 })
  using sum = difference.attribution.add(expected.attribution)
  assertSame(t, sum, values(fourth.attribution), 'difference', 1e-10)
})

test.serial('a model with several inputs is explained at its first', async (t) => {
  using model = await load('multi_input')
  using input = toTensor(nets.input('multi_input'))
  using attribution = new InputAttribution(model, { method: 'integrated-gradients', steps: 5 })
  using found = await attribution.explain(input, { target: 1 })
  t.deepEqual([...found.attribution.shape], [...input.shape])
})

test.serial('activations without a rule are refused, and nothing is left behind', async (t) => {
  for (const [net, code, message] of [
    ['channels_last', 'ERR_ACTIVATION', /Gelu/], // beside a ReLU
    ['vit', 'ERR_NO_RELU', /no ReLU/],
  ] as const) {
    using model = await load(net)
    using input = toTensor(nets.input(net))
    const before = await heldTensors()
    for (const method of ['guided-backprop', 'deconvnet'] as const) {
      using attribution = new InputAttribution(model, { method })
      await t.throwsAsync(attribution.explain(input), { code, message })
    }
    using guided = new GuidedBackprop(model)
    await t.throwsAsync(guided.explain(input), { code, message })
    t.is(liveTensors(), before)
  }
})

test.serial('explaining leaves no tensor behind, whether it ends well or not', async (t) => {
  using model = await load('plain')
  using input = toTensor(nets.input('plain'))
  const before = await heldTensors()
  {
    const smooth = { samples: 2 }
    for (const method of ['saliency', 'guided-backprop', 'integrated-gradients'] as const) {
      using attribution = new InputAttribution(model, { method, steps: 3, smooth })
      using _found = await attribution.explain(input)
      await t.throwsAsync(attribution.explain<Value>(input, { target: { kind: 'class', class: 7 } }), {
        code: 'ERR_TARGET_OUT_OF_RANGE',
      })
      let calls = 0
      const target = (logits: Tensor) => {
        if (++calls > 1) throw new Error('enough')
        return logits.sum()
      }
      await t.throwsAsync(attribution.explain(input, { target }), { message: 'enough' })
    }
    using guided = new GuidedGradCam(model, { layer: 'features' })
    using _found = await guided.explain(input)
  }
  t.is(liveTensors(), before)
})

test.serial('options that make no sense are refused', async (t) => {
  using model = await load('plain')
  const bad: [unknown, RegExp][] = [
    [null, /`options` must be an object, but is null/],
    [{ method: 'deepshap' }, /`method` must be .*, but is 'deepshap'/],
    [{ method: 'saliency', scope: 'some' }, /`scope` must be 'all' or 'modules'/],
    [{ method: 'saliency', steps: 0 }, /`steps` must be an integer from 1 to 10000, but is 0/],
    [{ method: 'saliency', batchSize: 1.5 }, /`batchSize` must be an integer from 1 on, but is 1\.5/],
    [{ method: 'saliency', baseline: Number.NaN }, /`baseline` must be a finite number or a Tensor, but is NaN/],
    [{ method: 'saliency', smooth: null }, /`smooth` must be an object/],
    [{ method: 'saliency', smooth: { kind: 'median' } }, /`smooth\.kind` must be .*, but is 'median'/],
    [{ method: 'saliency', smooth: { samples: 0 } }, /`smooth\.samples` must be/],
    [{ method: 'saliency', smooth: { sigma: -1 } }, /`smooth\.sigma` must be a number from 0 on/],
    [{ method: 'saliency', smooth: { seed: -1 } }, /`smooth\.seed` must be an integer from 0 on/],
  ]
  for (const [options, message] of bad)
    t.throws(() => new InputAttribution(model, options as InputAttributionOptions), {
      code: 'ERR_INVALID_ARGUMENT',
      message,
    })
  t.throws(() => new GuidedGradCam(model, { layer: 'nowhere' }), { code: 'ERR_LAYER_NOT_FOUND' })
})
