import test from 'ava'
import { InputPerturbation, liveTensors, manualSeed, methods, ScriptModule, Tensor } from '../../lib/index.js'
import { otherImages } from '../../lib/perturbation/feature-permutation.js'
import { sampleModel } from '../support/batch.js'
import { needing } from '../support/needs.js'
import { assertParity } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'

manualSeed(0)

const method = 'feature-permutation'
const [seed, samples, images] = [11, 4, 3]
/** As many as the masks of test/python/peer_permutation.py have. */
const features = 20
const permutations = Array.from({ length: samples }, (_, sample) =>
  Array.from({ length: features }, (_one, feature) => otherImages(seed, sample * features + feature, images)),
)
const nets = {
  plain_double: { classes: [0, 1, 2], size: [images, 3, 16, 20] },
  curved: { classes: [2, 1, 4], size: [images, 3, 16, 20] },
}
const models = Object.fromEntries(Object.entries(nets).map(([name, net]) => [name, { ...net, permutations }]))
const peer = await peerReference('peer_permutation.py', { models })
const run = needing('peers', peer, test.serial)

for (const [name, { classes }] of Object.entries(nets))
  run(`${name}: feature permutation is Captum's for the same permutations`, async (t) => {
    using model = await ScriptModule.load(peer!.file(name, 'scripted'))
    using input = toTensor(peer!.input(name))
    for (const what of ['features', 'own features'])
      for (const count of [1, samples])
        for (const batchSize of [1, 7, 64]) {
          using mask = toTensor(peer!.tensor(name, 'captum', what))
          using explainer = new InputPerturbation(model, { method, features: mask, samples: count, seed, batchSize })
          using found = await explainer.explain(input, { target: classes })
          t.is(found.runs, features * count)
          const label = `${count} of ${what}`
          assertParity(t, found.attribution, peer!.tensor(name, 'captum', label), `${label}, batches of ${batchSize}`)
        }
  })

test('permutations are cycles through all images, each as likely, and the same by their seed', (t) => {
  for (const count of [2, 3, 7])
    for (let version = 0; version < 50; version++) {
      const order = otherImages(5, version, count)
      t.deepEqual(order, otherImages(5, version, count))
      let [at, steps] = [0, 0]
      do [at, steps] = [order[at]!, steps + 1]
      while (at !== 0)
      t.is(steps, count) // so that none keeps its own
    }
  // Of four images there are six cycles: 6000 draws give each 1000, with a deviation of 29.
  const seen = new Map<string, number>()
  for (let version = 0; version < 6000; version++) {
    const key = otherImages(1, version, 4).join()
    seen.set(key, (seen.get(key) ?? 0) + 1)
  }
  t.is(seen.size, 6)
  for (const [key, count] of seen) t.true(Math.abs(count - 1000) < 5 * 29, `${key}: ${count}`)
})

test('one image is refused, as is what goes with no image by itself', async (t) => {
  using model = await ScriptModule.load(sampleModel)
  using input = Tensor.rand([2, 3, 32, 32])
  using one = input.narrow(0, 0, 1)
  using mask = Tensor.from(
    BigInt64Array.from({ length: 32 * 32 }, (_, i) => BigInt(Math.floor(i / 512))),
    [1, 1, 32, 32],
  )
  const before = liveTensors()
  using explainer = new InputPerturbation(model, { method, features: mask })
  await t.throwsAsync(explainer.explain(one), { code: 'ERR_SHAPE', message: /other images of its batch/ })
  t.is(liveTensors(), before)
  using found = await explainer.explain(input, { target: 1 })
  // Two images have one cycle: each half of an image is taken from the other.
  using swapped = Tensor.cat([input.narrow(0, 1, 1).narrow(2, 0, 16), one.narrow(2, 16, 16)], 2)
  using logits = await model.forward(swapped)
  const changed = (logits.tolist() as number[][])[0]![1]!
  using top = found.attribution.select(0, 0)
  const [first] = top.toTypedArray() as Float32Array
  t.true(Math.abs(first! - (found.scores[0]! - changed)) < 1e-4, `${first} ${found.scores[0]! - changed}`)
  for (const options of [{ samples: 0 }, { seed: -1 }]) {
    using wrong = new InputPerturbation(model, { method, ...options })
    await t.throwsAsync(wrong.explain(input), { code: 'ERR_INVALID_ARGUMENT' })
  }
  using floats = Tensor.zeros([1, 1, 32, 32])
  using wrong = new InputPerturbation(model, { method, features: floats })
  await t.throwsAsync(wrong.explain(input), { code: 'ERR_DTYPE' })
  // Batches and the server put together images that have nothing to do with each other.
  t.false(method in methods)
})
