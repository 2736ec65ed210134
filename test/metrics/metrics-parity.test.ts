import test from 'ava'
import {
  AverageDrop,
  Deletion,
  EnergyPointingGame,
  IncreaseInConfidence,
  Infidelity,
  InputAttribution,
  Insertion,
  PointingGame,
  rankCorrelation,
  Road,
  ScriptModule,
  SensitivityMax,
  type ExplainMaps,
  type Metric,
  type MetricBatch,
  type Tensor,
} from '../../lib/index.js'
import { impute } from '../../lib/metrics/executor.js'
import { farthest } from '../support/arithmetic.js'
import { assertNumbers } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import type { Values } from '../support/stored-tensor.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

const classes = [0, 1, 2]
const models = {
  plain: { classes, size: [3, 3, 16, 20] },
  plain_double: { classes, size: [3, 3, 16, 20] },
}
// As test/python/peer_metrics.py has them.
const [steps, samples, sigma, radius, seed, noise] = [7, 6, 0.3, 0.05, 5, 0.25]
const box = (x: number, y: number, w: number, h: number) => ({ x, y, w, h })
const boxes = [box(3, 2, 6.5, 7), [box(0, 0, 5, 5), box(10.2, 6.7, 8, 8)], box(12, 1, 4, 14)]

const peer = await peerReference('peer_metrics.py', { models })
const run = needing('peers', peer, test.serial)

const numbers = ({ data }: Values) => Array.from(data as ArrayLike<number>, Number)

/** What a metric says of each image of one batch. */
async function measure(metric: Metric, input: Tensor, maps: Tensor, batch: MetricBatch = {}) {
  using used = metric
  await used.add(input, maps, { targets: classes, ...batch })
  return used.result().perImage
}

for (const name of Object.keys(models)) {
  const expected = (of: string, what: string) => peer!.tensor(name, of, what)
  const open = async () => ({
    model: await ScriptModule.load(peer!.file(name, 'scripted')),
    input: toTensor(peer!.input(name)),
    maps: toTensor(expected('maps', 'maps')),
  })

  run(`${name}: ROAD is pytorch-grad-cam's, without noise and with its noise`, async (t) => {
    const { model, input, maps } = await open()
    for (const score of ['probability', 'logit'] as const) {
      for (const strength of [0, noise]) {
        for (const order of ['morf', 'lerf', 'combined'] as const) {
          const found = await measure(new Road(model, { score, order, noise: strength, seed }), input, maps)
          assertNumbers(t, found, expected('pgc', `${order} ${score} ${strength}`), `${order} ${score} ${strength}`)
        }
      }
    }
  })

  run(`${name}: drop and increase are pytorch-grad-cam's; the relative drop is the paper's`, async (t) => {
    const { model, input, maps } = await open()
    for (const score of ['probability', 'logit'] as const) {
      const drop = await measure(new AverageDrop(model, { score, relative: false }), input, maps)
      assertNumbers(t, drop, expected('pgc', `drop ${score}`), `drop ${score}`)
      const increase = await measure(new IncreaseInConfidence(model, { score }), input, maps)
      assertNumbers(t, increase, expected('pgc', `increase ${score}`), `increase ${score}`)
    }
    assertNumbers(t, await measure(new AverageDrop(model), input, maps), expected('formulas', 'drop'), 'relative')
  })

  run(`${name}: infidelity and sensitivity-max are Captum's`, async (t) => {
    const { model, input, maps } = await open()
    const gradient = toTensor(expected('captum', 'gradient'))
    for (const [what, given] of Object.entries({ map: maps, gradient })) {
      for (const normalize of [false, true]) {
        const found = await measure(new Infidelity(model, { samples, sigma, seed, normalize }), input, given)
        const title = `infidelity ${what} ${normalize ? 'True' : 'False'}`
        assertNumbers(t, found, expected('captum', title), title, 1e-4)
      }
    }
    const explain: ExplainMaps = async (evaluated, images, options) => {
      using attribution = new InputAttribution(evaluated, { method: 'gradient' })
      const found = await attribution.explain(images, options)
      found.output.dispose()
      return found.attribution
    }
    const found = await measure(new SensitivityMax(model, { explain, samples, radius, seed }), input, gradient)
    assertNumbers(t, found, expected('captum', 'sensitivity'), 'sensitivity-max', 1e-4)
  })

  run(`${name}: insertion, deletion and the pointing games are what the papers say`, async (t) => {
    const { model, input, maps } = await open()
    const coarse = toTensor(expected('formulas', 'coarse'))
    for (const [what, metric] of Object.entries({
      deletion: new Deletion(model, { steps }),
      insertion: new Insertion(model, { steps }),
    }))
      assertNumbers(t, await measure(metric, input, coarse), expected('formulas', what), what)
    const games = {
      pointing: new PointingGame(model),
      tolerant: new PointingGame(model, { tolerance: 3 }),
      energy: new EnergyPointingGame(model),
    }
    for (const [what, metric] of Object.entries(games))
      assertNumbers(t, await measure(metric, input, maps, { boxes }), expected('formulas', what), what)
  })

  run(`${name}: small maps are enlarged bilinearly`, async (t) => {
    const { model, input } = await open()
    const small = await measure(new EnergyPointingGame(model), input, toTensor(expected('maps', 'small')), { boxes })
    const large = await measure(new EnergyPointingGame(model), input, toTensor(expected('maps', 'large')), { boxes })
    t.true(farthest(small, large) < 1e-6, `${small.join(' ')}, ${large.join(' ')}`)
  })

  run(`${name}: the rank correlation is SciPy's, ties included`, async (t) => {
    const found = await rankCorrelation(toTensor(expected('spearman', 'other')), toTensor(expected('spearman', 'ties')))
    assertNumbers(t, found, expected('spearman', 'rho'), 'Spearman', 1e-12)
  })
}

run('removed pixels solve the same linear system as SciPy, whatever is left', async (t) => {
  const [images, keep] = ['images', 'keep'].map((what) => toTensor(peer!.tensor('plain', 'imputed', what)))
  using bools = keep!.to({ dtype: 'bool' })
  using found = await impute(images!, bools)
  const distance = farthest(found.toTypedArray() as Float64Array, numbers(peer!.tensor('plain', 'imputed', 'solved')))
  t.true(distance < 1e-7, String(distance))
})

run('a map that is mostly 0 loses as many pixels as any; pytorch-grad-cam removes the whole image', async (t) => {
  using model = await ScriptModule.load(peer!.file('plain', 'scripted'))
  const input = toTensor(peer!.input('plain'))
  const maps = toTensor(peer!.tensor('plain', 'maps', 'maps'))
  const flat = maps.mul(maps.gt(0.7))
  const road = { percentiles: [20], order: 'morf', noise: 0 } as const
  const found = await measure(new Road(model, road), input, flat)
  // It keeps nothing, so that SciPy is left with a system with zeros on its right-hand side, or not even that.
  const probability = async (images: Tensor) => {
    using logits = await model.forward(images)
    return classes.map((index, image) => logits.softmax(1).select(0, image).select(0, index).item())
  }
  const [whole, nothing] = [await probability(input), await probability(input.mul(0))]
  for (const [image, theirs] of numbers(peer!.tensor('plain', 'pgc', 'flat probability')).entries()) {
    const change = (nothing[image] as number) - (whole[image] as number)
    t.true(Number.isNaN(theirs) || Math.abs(theirs - change) < 1e-5, `${theirs}, ${change}`)
    t.true(Math.abs((found[image] as number) - change) > 1e-4)
  }
})
