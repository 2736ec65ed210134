import test from 'ava'
import { InputPerturbation, riseMasks, ScriptModule, Tensor } from '../../lib/index.js'
import { assertSame } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

const models = {
  plain_double: { size: [3, 3, 16, 20], classes: [0, 1, 2], grid: 4, probability: 0.4, masks: 40, seed: 3 },
  plain: { size: [3, 3, 16, 20], classes: [0, 1, 2], grid: 5, probability: 0.5, masks: 40, seed: 2 ** 40 + 7 },
  linear: { size: [2, 2, 9, 11], classes: [0, 0], grid: 3, probability: 0.3, masks: 4000, seed: 0 },
} as const

/** What is drawn here is what NumPy derives the maps from, so that the two draw the same. */
const job = Object.fromEntries(
  await Promise.all(
    Object.entries(models).map(async ([name, { size, seed, ...model }]) => {
      using masks = await riseMasks([size[2], size[3]], { ...model, seed })
      const bytes = Buffer.from(masks.toTypedArray().buffer)
      return [name, { ...model, size, masks: bytes.toString('base64'), inspect: 12 }]
    }),
  ),
)
const derived = await peerReference('rise.py', { models: job })
const run = needing('packages', derived, test.serial)

/** A map of each image that all channels share. */
function onePerImage(attribution: Tensor): Tensor {
  using first = attribution.narrow(1, 0, 1)
  return first.squeeze(1)
}

for (const [name, { classes, size: _, ...options }] of Object.entries(models))
  run(`${name}: the weighted mean of the masks, as NumPy derives it`, async (t) => {
    using model = await ScriptModule.load(derived!.file(name, 'scripted'))
    using input = toTensor(derived!.input(name))
    for (const batchSize of [1, 16, 50]) {
      using rise = new InputPerturbation(model, { method: 'rise', ...options, batchSize })
      using found = await rise.explain(input, { target: [...classes] })
      using map = onePerImage(found.attribution)
      const tolerance = name === 'plain' ? 1e-5 : 1e-7 // the masks are float32
      assertSame(t, map, derived!.tensor(name, 'rise', 'rise'), `batches of ${batchSize}`, tolerance)
      t.is(found.runs, options.masks)
      t.deepEqual(found.shape, input.shape)
    }
  })

run('masks are grids of cells, enlarged bilinearly and shifted', (t) => {
  for (const [name, { grid, probability }] of Object.entries(models)) {
    t.true(derived!.number(name, 'rise', 'error') < 1e-6, name)
    const cells = derived!.tensor(name, 'rise', 'cells').data as Float64Array
    t.is(cells.length, 12 * grid ** 2)
    // Four standard deviations of a share.
    const share = cells.reduce((sum, cell) => sum + cell, 0) / cells.length
    t.true(Math.abs(share - probability) < 4 * Math.sqrt((probability * (1 - probability)) / cells.length), `${share}`)
  }
})

run('of a linear model the map comes near to its expectation', async (t) => {
  using model = await ScriptModule.load(derived!.file('linear', 'scripted'))
  using input = toTensor(derived!.input('linear'))
  const expected = derived!.tensor('linear', 'rise', 'expectation')
  const { size: _, classes: __, masks, ...options } = models.linear
  const errors: number[] = []
  for (const count of [masks / 16, masks]) {
    using rise = new InputPerturbation(model, { method: 'rise', ...options, masks: count })
    using found = await rise.explain(input)
    using map = onePerImage(found.attribution)
    const numbers = map.toTypedArray() as Float64Array
    errors.push(Math.max(...numbers.map((value, i) => Math.abs(value / (expected.data[i] as number) - 1))))
  }
  const [few = 0, many = 0] = errors
  // f(x m) m has a standard deviation of about 1.5 times its mean, which falls with the root of the number of masks.
  t.true(many < 0.1, String(many))
  t.true(few > many, `${few} with few masks, ${many} with many`)
  using all = new InputPerturbation(model, { method: 'rise', probability: 1, masks: 3 })
  using found = await all.explain(input)
  for (const [i, score] of found.scores.entries()) {
    using own = found.attribution.narrow(0, i, 1)
    for (const value of own.toTypedArray()) t.true(Math.abs(Number(value) / score - 1) < 1e-9)
  }
})

test('a mask is of its seed and number alone', async (t) => {
  using few = await riseMasks([10, 12], { masks: 3, seed: 5 })
  using many = await riseMasks([10, 12], { masks: 9, seed: 5 })
  using start = many.narrow(0, 0, 3)
  t.deepEqual(few.tolist(), start.tolist())
  using other = await riseMasks([10, 12], { masks: 3, seed: 6 })
  t.notDeepEqual(few.tolist(), other.tolist())
  t.deepEqual(few.shape, [3, 1, 10, 12])
})

test('options that make no masks are refused', async (t) => {
  const refused = [{ masks: 0 }, { grid: 0.5 }, { probability: 0 }, { probability: 2 }, { seed: -1 }]
  for (const options of refused) await t.throwsAsync(riseMasks([8, 8], options), { code: 'ERR_INVALID_ARGUMENT' })
  await t.throwsAsync(riseMasks([8, 0]), { code: 'ERR_INVALID_ARGUMENT' })
  const aborted = AbortSignal.abort()
  t.is(await riseMasks([8, 8], { signal: aborted }).catch((error: unknown) => error), aborted.reason)
})
