import test from 'ava'
import {
  Adcc,
  Complexity,
  FaithfulnessCorrelation,
  InputAttribution,
  Monotonicity,
  MonotonicityCorrelation,
  RelevanceMassAccuracy,
  RelevanceRankAccuracy,
  ScriptModule,
  Selectivity,
  SensitivityAvg,
  Sparseness,
  type ExplainMaps,
  type Metric,
  type MetricBatch,
  type Tensor,
} from '../../lib/index.js'
import { assertNumbers } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

// Of different sizes and numbers of images; the patches divide the images, as do the groups.
const models = {
  plain: { classes: [0, 1, 2], size: [3, 3, 16, 20], patch: 4, groups: 20 },
  plain_double: { classes: [3, 1], size: [2, 3, 24, 16], patch: 8, groups: 24 },
}
// As test/python/peer_quantus.py has them.
const [samples, subset, sigma, radius, seed, steps] = [6, 23, 0.7, 0.05, 5, 9]

const peer = await peerReference('peer_quantus.py', { models })
const run = needing('peers', peer, test.serial)

for (const [name, { classes, size, patch, groups }] of Object.entries(models)) {
  const expected = (of: string, what: string) => peer!.tensor(name, of, what)
  const open = async () => ({
    model: await ScriptModule.load(peer!.file(name, 'scripted')),
    input: toTensor(peer!.input(name)),
    maps: toTensor(expected('maps', 'maps')),
  })
  /** What a metric says of the images as one batch. */
  const measure = async (metric: Metric, input: Tensor, maps: Tensor, batch: MetricBatch = {}) => {
    using used = metric
    await used.add(input, maps, { targets: classes, ...batch })
    return used.result()
  }
  const gradientOf: ExplainMaps = async (evaluated, images, options) => {
    using attribution = new InputAttribution(evaluated, { method: 'gradient' })
    const found = await attribution.explain(images, options)
    found.output.dispose()
    return found.attribution
  }

  run(`${name}: sparseness and complexity are Quantus's, also of signed maps and of attributions`, async (t) => {
    const { model, input, maps } = await open()
    const given = { map: maps, signed: maps.sub(0.4), gradient: toTensor(expected('explanations', 'gradient')) }
    for (const [kind, tensor] of Object.entries(given)) {
      for (const [what, metric] of Object.entries({
        sparseness: new Sparseness(model),
        complexity: new Complexity(model),
      })) {
        const title = `${what} ${kind}`
        // Quantus adds 1e-7 to each value; the largest is about 1.
        assertNumbers(t, (await measure(metric, input, tensor)).perImage, expected('alone', title), title)
      }
    }
  })

  run(
    `${name}: relevance mass and rank accuracy are Quantus's, and the formula's of signed maps and equal pixels`,
    async (t) => {
      const { model, input, maps } = await open()
      const masks = toTensor(expected('masks', 'masks'))
      const of = async (what: string, metric: Metric, given: Tensor) =>
        assertNumbers(t, (await measure(metric, input, given, { masks })).perImage, expected('masks', what), what)
      await of('mass', new RelevanceMassAccuracy(model), maps)
      await of('mass signed', new RelevanceMassAccuracy(model), maps.sub(0.4))
      await of('rank', new RelevanceRankAccuracy(model), maps)
      await of('rank coarse', new RelevanceRankAccuracy(model), maps.mul(8).floor())
    },
  )

  run(`${name}: faithfulness, monotonicity correlation and selectivity are Quantus's`, async (t) => {
    const { model, input, maps } = await open()
    // The changes of a score are thousandths of it: in float32 three digits of them are right, and two may change their order.
    const [falls, ranks] = input.dtype === 'float64' ? [1e-5, 1e-5] : [1e-3, 1e-2]
    const faithful = new FaithfulnessCorrelation(model, { samples, subset, seed })
    const faithfulness = await measure(faithful, input, maps)
    assertNumbers(t, faithfulness.perImage, expected('exchanges', 'faithfulness'), 'faithfulness', falls)

    const orders = new MonotonicityCorrelation(model, { steps: groups, samples, sigma, seed })
    const orderly = await measure(orders, input, maps.sub(0.4))
    const correlated = expected('exchanges', 'monotonicity correlation')
    assertNumbers(t, orderly.perImage, correlated, 'monotonicity correlation', ranks)

    const [, , height = 0, width = 0] = size
    const patches = (height * width) / patch ** 2
    const selective = await measure(new Selectivity(model, { patch, steps: patches }), input, maps)
    assertNumbers(t, selective.perImage, expected('exchanges', 'selectivity'), 'selectivity')
    assertNumbers(t, selective.curve, expected('exchanges', 'selectivity curve'), 'selectivity curve')
    const ragged = await measure(new Selectivity(model, { patch: patch - 1, steps }), input, maps)
    assertNumbers(t, ragged.perImage, expected('exchanges', 'selectivity ragged'), 'selectivity ragged')
  })

  run(`${name}: monotonicity is the formula's; Quantus's is 1 whatever the map says`, async (t) => {
    const { model, input, maps } = await open()
    for (const [title, count] of Object.entries({ 2: 2, [steps]: steps, groups })) {
      const found = await measure(new Monotonicity(model, { steps: count }), input, maps)
      assertNumbers(t, found.perImage, expected('exchanges', `monotonicity ${title}`), title)
      assertNumbers(t, found.curve, expected('exchanges', `monotonicity curve ${title}`), `curve ${title}`)
    }
    t.true(Array.from(expected('exchanges', 'monotonicity groups').data as ArrayLike<number>).includes(0))
    t.true(Array.from(expected('exchanges', 'monotonicity defect').data as ArrayLike<number>).every((v) => v === 1))
  })

  run(`${name}: average sensitivity is Quantus's, and ADCC the paper's`, async (t) => {
    const { model, input } = await open()
    const gradient = toTensor(expected('explanations', 'gradient'))
    const average = new SensitivityAvg(model, { explain: gradientOf, samples, radius, seed })
    const moved = await measure(average, input, gradient)
    assertNumbers(t, moved.perImage, expected('explanations', 'sensitivity'), 'sensitivity-avg', 1e-4)

    const explain: ExplainMaps = async (evaluated, images, options) => {
      using found = await gradientOf(evaluated, images, options)
      using sums = found.sum([1], true)
      return sums.avgPool2d([2, 2], [2, 2])
    }
    const maps = await explain(model, input, { target: classes, signal: undefined })
    const { perImage, points, curve } = await measure(new Adcc(model, { explain }), input, maps)
    assertNumbers(t, perImage, expected('explanations', 'adcc'), 'ADCC')
    t.deepEqual(points, ['drop', 'coherency', 'complexity'])
    assertNumbers(t, curve, expected('explanations', 'adcc terms'), 'terms of ADCC')
  })
}
