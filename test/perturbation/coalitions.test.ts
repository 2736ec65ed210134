import test from 'ava'
import {
  gridFeatures,
  InputPerturbation,
  ScriptModule,
  Tensor,
  type InputPerturbationOptions,
} from '../../lib/index.js'
import { kernelShap } from '../../lib/perturbation/kernel-shap.js'
import { lime } from '../../lib/perturbation/lime.js'
import { orderOfFeatures, shapleySampling } from '../../lib/perturbation/shapley-sampling.js'
import { smallNets } from '../support/models.js'
import { needing } from '../support/needs.js'
import { assertSame, relativeError } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'
import { assertUnbiased } from '../support/unbiased.js'

const nets = {
  plain_double: { classes: [0, 1, 2], size: [3, 3, 16, 20] },
  curved: { classes: [2, 1, 4], size: [3, 3, 16, 20] },
}
const [seed, samples, orders] = [7, 120, 6]
const each = (count: number) => Array.from({ length: count }, (_, i) => i)

/** What this package draws for an image with so many features. */
const drawnFor = (features: number) => {
  const [ofLime, ofKernel] = [lime({ samples, seed })(features), kernelShap({ samples, seed })(features)]
  return {
    lime: each(ofLime.count).map((version) => [...ofLime.present(version)]),
    kernel: each(ofKernel.count - 1).map((version) => [...ofKernel.present(version + 1)]),
    orders: each(orders).map((sample) => orderOfFeatures(seed, sample, features)),
  }
}
/** As many as the masks of test/python/peer_coalitions.py have. */
const counts = [20, 16]
const drawn = Object.fromEntries(counts.map((features) => [features, drawnFor(features)]))
const models = Object.fromEntries(Object.entries(nets).map(([name, net]) => [name, { ...net, 'by count': drawn }]))

const peer = await peerReference('peer_coalitions.py', { models })
const run = needing('peers', peer, test.serial)

for (const [name, { classes }] of Object.entries(nets)) {
  const open = async () => {
    const tensor = (what: string) => toTensor(peer!.tensor(name, 'captum', what))
    const [model, input] = [await ScriptModule.load(peer!.file(name, 'scripted')), toTensor(peer!.input(name))]
    return { model, input, features: tensor('features'), own: tensor('own'), few: tensor('few') }
  }

  run(`${name}: the values of features, for the same versions`, async (t) => {
    const { model, input, features, own, few } = await open()
    const common = { baseline: 0.25, seed }
    // In float64; Captum's regressions are in float32, and its constraint is a weight of a million.
    const cases: [what: string, tolerance: number, runs: number, options: InputPerturbationOptions][] = [
      ['lime', 1e-9, samples, { method: 'lime', features, samples, ...common }],
      ['captum lime', 1e-5, samples, { method: 'lime', features, samples, ...common }],
      ['own lime', 1e-9, samples, { method: 'lime', features: own, samples, ...common }],
      ['kernel-shap', 1e-9, 1 + samples, { method: 'kernel-shap', features, samples, ...common }],
      ['captum kernel-shap', 1e-3, 1 + samples, { method: 'kernel-shap', features, samples, ...common }],
      ['own kernel-shap', 1e-9, 1 + samples, { method: 'kernel-shap', features: own, samples, ...common }],
      ['shapley', 1e-9, 2 ** 9 - 1, { method: 'kernel-shap', features: few, ...common }],
      [
        'captum shapley-sampling',
        1e-6,
        1 + orders * 19,
        { method: 'shapley-sampling', features, samples: orders, ...common },
      ],
      ['shapley-sampling', 1e-9, 1 + orders * 19, { method: 'shapley-sampling', features, samples: orders, ...common }],
    ]
    for (const [what, tolerance, runs, options] of cases)
      for (const batchSize of [7, 64]) {
        using explainer = new InputPerturbation(model, { ...options, batchSize })
        using found = await explainer.explain(input, { target: classes })
        assertSame(t, found.attribution, peer!.tensor(name, 'captum', what), `${what}, ${batchSize}`, tolerance)
        t.is(found.runs, runs, what)
      }
  })

  run(`${name}: an image's values are its own, and Shapley values add up`, async (t) => {
    const { model, input, own } = await open()
    for (const method of ['lime', 'kernel-shap', 'shapley-sampling'] as const) {
      using explainer = new InputPerturbation(model, { method, features: own, samples: 10, baseline: 0.25 })
      using found = await explainer.explain(input, { target: classes })
      using last = input.narrow(0, 2, 1)
      using lastOwn = own.narrow(0, 2, 1)
      using single = new InputPerturbation(model, { method, features: lastOwn, samples: 10, baseline: 0.25 })
      using alone = await single.explain(last, { target: classes[2]! })
      using same = found.attribution.narrow(0, 2, 1)
      assertSame(
        t,
        alone.attribution,
        { shape: [...same.shape], data: same.toTypedArray() as Float64Array },
        method,
        1e-9,
      )
      if (method === 'lime') continue
      using base = input.mul(0).add(0.25)
      using logits = await model.forward(base)
      const before = (logits.tolist() as number[][]).map((row, image) => row[classes[image]!]!)
      for (const image of each(3)) {
        // One element of each feature.
        const values = new Map<bigint, number>()
        const [numbers, attributed] = [own.select(0, image), found.attribution.select(0, image).select(0, 0)]
        for (const [i, number] of (numbers.toTypedArray() as BigInt64Array).entries())
          values.set(number, attributed.toTypedArray()[i] as number)
        const sum = [...values.values()].reduce((a, b) => a + b, 0)
        const change = found.scores[image]! - before[image]!
        t.true(Math.abs(sum - change) < 1e-9 * Math.max(1, Math.abs(change)), `${method}: ${sum} ${change}`)
      }
    }
  })

  // One net is enough: the values for given versions are compared above.
  if (name !== 'plain_double') continue
  run(`${name}: what is sampled is right on average`, async (t) => {
    const { model, input, few } = await open()
    const exact = peer!.tensor(name, 'captum', 'shapley').data
    const largest = Math.max(...Array.from(exact as Float64Array, Math.abs))
    for (const [method, own] of [
      ['kernel-shap', 200],
      ['shapley-sampling', 25],
    ] as const) {
      const runs: ArrayLike<number>[] = []
      for (const one of each(20)) {
        using explainer = new InputPerturbation(model, {
          method,
          features: few,
          samples: own,
          baseline: 0.25,
          seed: 100 + one,
          batchSize: 300,
        })
        using found = await explainer.explain(input, { target: classes })
        runs.push(found.attribution.toTypedArray() as Float64Array)
      }
      // The middle of each block of the first channel of each image: nine numbers that were estimated apart.
      for (const image of each(3))
        for (const block of each(9)) {
          const at = image * 960 + (Math.floor(block / 3) * 6 + 2) * 20 + (block % 3) * 7 + 3
          const what = `${method}, image ${image}, feature ${block}`
          const estimates = runs.map((values) => values[at] as number)
          assertUnbiased(t, estimates, { expected: Number(exact[at]), detectable: 0.1 * largest, what })
        }
    }
  })
}

test('versions are of their seed and number alone, and settings are checked', (t) => {
  for (const make of [lime, kernelShap]) {
    const [some, more] = [make({ samples: 10, seed: 3 })(12), make({ samples: 200, seed: 3 })(12)]
    for (const version of each(10)) t.deepEqual(some.present(version), more.present(version))
    t.notDeepEqual(some.present(3), make({ samples: 10, seed: 4 })(12).present(3))
  }
  // Of each size as often as the kernel says: pairs have a size and its complement.
  const sizes = Array<number>(13).fill(0)
  const drawnOften = kernelShap({ samples: 4000 })(12)
  for (const i of each(4000)) sizes[drawnOften.present(i + 1).reduce((sum, one) => sum + one, 0)]!++
  const kernel = sizes.map((_, size) => (size === 0 || size === 12 ? 0 : 1 / (size * (12 - size))))
  const total = kernel.reduce((sum, one) => sum + one, 0)
  for (const [size, count] of sizes.entries()) {
    const share = kernel[size]! / total
    // Of 2000 pairs; five standard deviations, where a uniform choice of sizes would be off by more than ten at the ends.
    t.true(Math.abs(count / 4000 - share) <= 5 * Math.sqrt((share * (1 - share)) / 2000), `${size}: ${count}`)
  }
  for (const options of [{ samples: 0 }, { seed: -1 }] as const)
    for (const make of [lime, kernelShap, shapleySampling])
      t.throws(() => make(options), { code: 'ERR_INVALID_ARGUMENT' })
  t.throws(() => lime({ kernelWidth: 0 }), { code: 'ERR_INVALID_ARGUMENT' })
  t.throws(() => lime({ ridge: -1 }), { code: 'ERR_INVALID_ARGUMENT' })
})

test('LIME is refused where no version without a feature weighs anything', (t) => {
  // exp(-d^2 / 2 width^2) is less than the rounding of a sum where d > width sqrt(2 ln 2^52), and with 12 features d is at least 1 - sqrt(11 / 12).
  const least = (1 - Math.sqrt(11 / 12)) / Math.sqrt(2 * Math.log(2 ** 52))
  for (const kernelWidth of [1e-4, 0.5 * least])
    t.throws(() => lime({ samples: 500, kernelWidth })(12), {
      code: 'ERR_INVALID_ARGUMENT',
      message: /weigh nothing here/,
    })
  t.throws(() => lime({ samples: 1 })(12), { code: 'ERR_INVALID_ARGUMENT', message: /of 1 samples/ })
  t.notThrows(() => lime({ samples: 2 })(12))
  t.notThrows(() => lime({ samples: 4000, kernelWidth: 2 * least })(12), 'versions without one feature weigh something')
})

run('one feature, and features that do not fit the input', async (t) => {
  const model = await ScriptModule.load(peer!.file('plain_double', 'scripted'))
  using input = toTensor(peer!.input('plain_double'))
  using features = Tensor.from([0], [1], { dtype: 'int64' })
  for (const method of ['kernel-shap', 'shapley-sampling'] as const) {
    using explainer = new InputPerturbation(model, { method, features })
    using found = await explainer.explain(input, { target: 1 })
    using zeros = input.mul(0)
    using logits = await model.forward(zeros)
    for (const image of each(3)) {
      const value = found.attribution.select(0, image).toTypedArray()[0] as number
      t.true(Math.abs(value - (found.scores[image]! - (logits.tolist() as number[][])[image]![1]!)) < 1e-9, method)
    }
  }
  using wrong = Tensor.zeros([1, 1, 16, 20])
  using explainer = new InputPerturbation(model, { method: 'lime', features: wrong })
  await t.throwsAsync(explainer.explain(input), { code: 'ERR_DTYPE', message: /integers/ })
  using narrow = Tensor.zeros([3, 3], { dtype: 'int64' })
  using other = new InputPerturbation(model, { method: 'lime', features: narrow })
  await t.throwsAsync(other.explain(input), { code: 'ERR_SHAPE' })
  model.dispose()
})

test('an image that is not finite says so, and leaves the others of its batch as they are', async (t) => {
  const small = await smallNets()
  using model = await ScriptModule.load(small.file('plain'))
  using pair = toTensor(small.input('plain'))
  using one = pair.narrow(0, 0, 1)
  using bad = one.mul(NaN)
  using batch = Tensor.cat([one, bad, one])
  const values = (tensor: Tensor) => Array.from(tensor.toTypedArray(), Number)
  for (const method of ['lime', 'kernel-shap', 'shapley-sampling'] as const) {
    using features = gridFeatures([16, 20], 4)
    using explainer = new InputPerturbation(model, { method, features, samples: 3 })
    using alone = await explainer.explain(one, { target: 1 })
    using found = await explainer.explain(batch, { target: 1 })
    t.deepEqual(
      found.conditions.map(({ state }) => state === 'not-finite'),
      [false, true, false],
      method,
    )
    for (const image of [0, 2]) {
      using own = found.attribution.narrow(0, image, 1)
      const error = relativeError(values(own), values(alone.attribution))
      t.true(error < 1e-4, `${method}, image ${image}: ${error}`)
    }
  }
})
