import test from 'ava'
import { InputAttribution, ScriptModule, type InputAttributionOptions } from '../../lib/index.js'
import { lineDraws } from '../../lib/attribution/gradient-shap.js'
import { farthest } from '../support/arithmetic.js'
import { assertNumbers, assertSame } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'
import { assertUnbiased } from '../support/unbiased.js'
import { needing } from '../support/needs.js'

const nets = {
  plain_double: { classes: [0, 1, 2], size: [3, 3, 16, 20], deeplift: false },
  // Nothing that Captum's DeepLIFT gets wrong, see test/python/peer_rescale.py.
  pooled_linear: { classes: [3, 0, 2], size: [3, 3, 16, 20], deeplift: true },
  curved: { classes: [2, 1, 4], size: [3, 3, 16, 20], deeplift: false },
}
/** As test/python/peer_paths.py has them. */
const [seed, sigma, samples, baselines] = [7, 0.2, 6, 3]

/** What this package draws for a batch of three images, by sample and image. */
const drawn = (sample: number, first: number) =>
  lineDraws(seed, sample, { x: { shape: [3] } as never, copies: 1, first }, baselines)
const each20 = Array.from({ length: 20 }, (_, i) => i)
const each = Array.from({ length: samples }, (_, i) => i)
const draws = { draws: each.map((i) => drawn(i, 0)), 'noisy draws': each.map((i) => drawn(0, i)) }
const models = Object.fromEntries(Object.entries(nets).map(([name, net]) => [name, { ...net, ...draws }]))

const peer = await peerReference('peer_paths.py', { models })
const run = needing('peers', peer, test.serial)

for (const [name, { classes, deeplift }] of Object.entries(nets)) {
  const open = async () => ({
    model: await ScriptModule.load(peer!.file(name, 'scripted')),
    input: toTensor(peer!.input(name)),
    baseline: toTensor(peer!.tensor(name, 'peers', 'baselines')),
  })

  run(`${name}: GradientSHAP is Captum's for the same draws, and blur and guided IG are PAIR's`, async (t) => {
    const { model, input, baseline } = await open()
    const noise = { samples, sigma, seed }
    // Not a flat one, from which gradients are equal but for rounding: see peer_paths.py.
    using start = baseline.select(0, 2)
    const cases: Readonly<Record<string, InputAttributionOptions>> = {
      'gradient-shap': { method: 'gradient-shap', baseline, steps: samples, seed },
      // Captum's noise is one copy for each draw.
      'noisy gradient-shap': { method: 'gradient-shap', baseline, steps: 1, seed, smooth: noise },
      'blur-ig': { method: 'blur-ig', maxSigma: 6, steps: 12 },
      'guided-ig': { method: 'guided-ig', steps: 15, baseline: start },
      'free guided-ig': { method: 'guided-ig', steps: 9, baseline: start, fraction: 0.1, maxDistance: 1 },
    }
    for (const [what, options] of Object.entries(cases))
      for (const batchSize of [1, 7, 64]) {
        using explainer = new InputAttribution(model, { ...options, batchSize })
        using found = await explainer.explain(input, { target: classes })
        // In float64. A quotient of differences by 0.01 loses two digits, which leaves thirteen.
        assertSame(t, found.attribution, peer!.tensor(name, 'peers', what), `${what}, batches of ${batchSize}`, 1e-9)
      }
  })

  if (deeplift)
    run(`${name}: DeepLIFT-SHAP is Captum's, with its convergence delta`, async (t) => {
      const { model, input, baseline } = await open()
      using explainer = new InputAttribution(model, { method: 'deeplift-shap', baseline })
      const seen: number[][] = []
      using found = await explainer.explain(input, {
        target: classes,
        onProgress: (done, all) => void seen.push([done, all]),
      })
      assertSame(t, found.attribution, peer!.tensor(name, 'peers', 'deeplift-shap'), 'DeepLIFT-SHAP', 1e-9)
      assertNumbers(t, found.delta!, peer!.tensor(name, 'peers', 'delta'), 'delta', 1e-9, 'one')
      t.deepEqual(
        seen,
        [1, 2, 3].map((done) => [done, 3]),
      )
      t.true((found.intercepted ?? 0) > 0)
    })

  run(`${name}: guided IG adds up the better the more steps, and GradientSHAP on average`, async (t) => {
    const { model, input } = await open()
    using start = input.mul(0).add(0.25)
    using at = await model.forward(start)
    const before = (at.tolist() as number[][]).map((logits, image) => logits[classes[image]!]!)
    const of = async (options: InputAttributionOptions) => {
      using explainer = new InputAttribution(model, { baseline: 0.25, batchSize: 60, ...options })
      using found = await explainer.explain(input, { target: classes })
      using sums = found.attribution.sum([1, 2, 3])
      return { scores: found.scores, delta: found.delta, sums: sums.tolist() as number[] }
    }
    const off: number[] = []
    for (const steps of [10, 160]) {
      const { scores, delta, sums } = await of({ method: 'guided-ig', steps })
      const own = sums.map((sum, image) => sum - (scores[image]! - before[image]!))
      t.true(farthest(delta!, own) < 1e-9)
      off.push(Math.max(...own.map(Math.abs)))
    }
    t.true(off[1]! < off[0]!, off.join(' '))

    // Its attributions add up on average: an estimator whose sum is off by a fifth of the largest change would be noticed.
    const runs = await Promise.all(each20.map((own) => of({ method: 'gradient-shap', steps: 25, seed: 1000 * own })))
    const largest = Math.max(...runs[0]!.scores.map((score, image) => Math.abs(score - before[image]!)))
    for (const [image, score] of runs[0]!.scores.entries()) {
      const expected = score - before[image]!
      const sums = runs.map((one) => one.sums[image]!)
      assertUnbiased(t, sums, { expected, detectable: 0.2 * largest, what: `image ${image}` })
    }
  })
}
