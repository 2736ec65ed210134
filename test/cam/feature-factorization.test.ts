import test from 'ava'
import { drawConcepts, FeatureFactorization, liveTensors, manualSeed, ScriptModule, Tensor } from '../../lib/index.js'
import { loadSharp } from '../../lib/images/sharp.js'
import { sampleModel } from '../support/batch.js'
import { needing } from '../support/needs.js'
import { assertParity, assertSame } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'

manualSeed(0)

const models = {
  plain_double: { layer: 'features.6', size: [3, 3, 16, 20], concepts: 3, pooled: false },
  pooled_linear: { layer: 'features', size: [3, 3, 16, 20], concepts: 4, pooled: true },
  curved: { layer: 'features', size: [2, 3, 16, 20], concepts: 5, pooled: false },
}

const peer = await peerReference('peer_factors.py', { models })
const run = needing('peers', peer, test.serial)

for (const [name, { layer, concepts, pooled }] of Object.entries(models))
  run(`${name}: concepts, their maps and their scores are as pytorch-grad-cam has them`, async (t) => {
    using model = await ScriptModule.load(peer!.file(name, 'scripted'))
    using input = toTensor(peer!.input(name))
    using factorization = new FeatureFactorization(model, { layer, concepts })
    using found = await factorization.explain(input)
    // In float64 from the same beginnings: two hundred rounds of coordinate descent keep ten digits of sixteen.
    const expected = (what: string) => peer!.tensor(name, 'peer', what)
    assertParity(t, found.concepts, expected('concepts'), 'concepts', 1e-6)
    assertSame(t, found.maps, expected('maps'), 'maps', 1e-6)
    t.true(found.scored)
    assertSame(t, found.conceptScores(), expected('scores'), 'scores', 1e-6)
    if (pooled) assertSame(t, found.conceptScores(), expected('by the classifier'), 'by the classifier', 1e-6)
    t.is(found.execution.path, 'split')
  })

test.serial('the same images give the same concepts, and what was found owns all its tensors', async (t) => {
  using model = await ScriptModule.load(sampleModel)
  using input = Tensor.rand([2, 3, 64, 80])
  const before = liveTensors()
  const seen: unknown[] = []
  for (let i = 0; i < 2; i++) {
    using factorization = new FeatureFactorization(model, { layer: 'features', concepts: 3 })
    using found = await factorization.explain(input)
    t.deepEqual(found.maps.shape.slice(0, 2), [2, 3])
    t.is(found.conceptScores().shape[0], 3)
    using least = found.maps.amin()
    t.true(least.item() >= 0)
    seen.push([found.maps.tolist(), found.concepts.tolist()])
  }
  t.deepEqual(seen[0], seen[1])
  t.is(liveTensors(), before)
})

test('concepts without scores, and what cannot be factorized, say why', async (t) => {
  using model = await ScriptModule.load(sampleModel)
  using input = Tensor.rand([1, 3, 64, 64])
  const inner = model.namedModules().find(({ path, typeName }) => /denselayer1\./.test(path) && typeName === 'Conv2d')
  t.truthy(inner)
  using around = new FeatureFactorization(model, { layer: inner!.path, concepts: 2 })
  using found = await around.explain(input)
  t.false(found.scored)
  t.regex(found.whyUnscored ?? '', /skips the layer/)
  t.throws(() => found.conceptScores(), { code: 'ERR_NOT_SPLITTABLE', message: /skips the layer/ })
  using shaped = new FeatureFactorization(model, { layer: 'features', concepts: 2, reshape: (tensor) => tensor })
  using custom = await shaped.explain(input)
  t.throws(() => custom.conceptScores(), { code: 'ERR_NOT_SPLITTABLE', message: /reshape function/ })
  using many = new FeatureFactorization(model, { layer: 'features', concepts: 1000 })
  await t.throwsAsync(many.explain(input), { code: 'ERR_INVALID_ARGUMENT', message: /1000 concepts/ })
  t.throws(() => new FeatureFactorization(model, { layer: 'features', concepts: 0 }), { code: 'ERR_INVALID_ARGUMENT' })
  t.throws(() => new FeatureFactorization(model, { layer: 'nowhere' }), { code: 'ERR_LAYER_NOT_FOUND' })
  using nan = Tensor.full([1, 3, 64, 64], Number.NaN)
  using factorization = new FeatureFactorization(model, { layer: 'features', concepts: 2 })
  await t.throwsAsync(factorization.explain(nan), { code: 'ERR_LAYER_OUTPUT', message: /NaN/ })
})

test('each pixel is drawn in the colour of its concept, above a legend', async (t) => {
  using image = Tensor.full([1, 3, 8, 8], 0.5)
  // The first concept on the left, the second on the right; nothing in the last row.
  const maps = [
    [4, 4, 0, 0].map((value) => [value, value, value, 0]),
    [0, 0, 2, 2].map((value) => [value, value, value, 0]),
  ].map((columns) => [0, 1, 2, 3].map((y) => columns.map((column) => column[y] as number)))
  using given = Tensor.from([maps])
  const sharp = await loadSharp()
  const read = async (png: Uint8Array) => {
    const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true })
    const at = (x: number, y: number) => [...data.subarray(3 * (y * info.width + x), 3 * (y * info.width + x) + 3)]
    return { ...info, at }
  }
  const plain = await read(await drawConcepts(image, given, { alpha: 1 }))
  t.deepEqual([plain.width, plain.height], [8, 8])
  t.deepEqual(plain.at(0, 0), [0xe6, 0x9f, 0x00])
  t.deepEqual(plain.at(7, 0), [0x56, 0xb4, 0xe9])
  t.deepEqual(plain.at(0, 7), [128, 128, 128])
  // Half of it where the concept is twice as strong elsewhere.
  const weak = await read(await drawConcepts(image, given, { alpha: 1, most: [8, 2] }))
  t.deepEqual(weak.at(0, 0), [Math.round((0xe6 + 127.5) / 2), Math.round((0x9f + 127.5) / 2), Math.round(127.5 / 2)])
  const legend = await read(await drawConcepts(image, given, { legend: ['concept 1: <cat> & more', 'concept 2'] }))
  t.true(legend.height > 8 && legend.width > 100)
  t.deepEqual(legend.at(12, 8 + 4 + 10), [0xe6, 0x9f, 0x00])
  t.deepEqual(legend.at(12, 8 + 4 + 22 + 10), [0x56, 0xb4, 0xe9])
  await t.throwsAsync(drawConcepts(image, given, { legend: ['one'] }), { code: 'ERR_INVALID_ARGUMENT' })
  await t.throwsAsync(drawConcepts(image, given, { most: [1, 0] }), { code: 'ERR_INVALID_ARGUMENT' })
  await t.throwsAsync(drawConcepts(image, image.narrow(0, 0, 0)), { code: 'ERR_SHAPE' })
})
