import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import {
  compositeNames,
  InputAttribution,
  Lrp,
  ScriptModule,
  Tensor,
  type LrpOptions,
  type RelevanceRule,
} from '../../lib/index.js'
import { farthest } from '../support/arithmetic.js'
import { cachedFolder } from '../support/cached-folder.js'
import { heldTensors, settledLiveTensors } from '../support/live-tensors.js'
import { smallNets } from '../support/models.js'
import { needing } from '../support/needs.js'
import { assertNumbers, assertParity, assertSame } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import { programsHash, runPython, testPython } from '../support/python.js'
import { Reference } from '../support/reference.js'
import { toTensor } from '../support/to-tensor.js'

/** As test/python/relevance_bounds.py has them. */
const bounds = { low: [-2.5, -2, -3], high: [2.5, 3, 2] }
const classes = [0, 1]

const everywhere = (rule: RelevanceRule): LrpOptions => ({ composite: { convolution: rule, linear: rule } })
const options: Readonly<Record<string, LrpOptions>> = {
  ...Object.fromEntries(compositeNames.map((name) => [name, { composite: name }])),
  'epsilon-gamma-box': { composite: 'epsilon-gamma-box', ...bounds },
  'gamma everywhere': everywhere({ rule: 'gamma', gamma: 0.5 }),
  'alpha-beta everywhere': everywhere({ rule: 'alpha-beta', alpha: 1.5, beta: 0.5 }),
  'z-plus everywhere': everywhere({ rule: 'z-plus' }),
  'w-square first': {
    composite: {
      first: { rule: 'w-square' },
      convolution: { rule: 'epsilon', epsilon: 1e-3 },
      linear: { rule: 'epsilon', epsilon: 1e-3 },
    },
  },
}
const single = ['epsilon-plus', 'epsilon-plus-flat', 'epsilon-gamma-box']
const rules = ['epsilon', 'epsilon-plus', 'epsilon-plus-flat', 'epsilon-alpha2-beta1', 'gamma everywhere']
const zennits = {
  relevance_plain: {},
  relevance_functions: { zennit: 'relevance_plain', only: ['epsilon-plus', 'epsilon-gamma-box'] },
  relevance_residual: {},
  relevance_in_place: { zennit: 'relevance_residual', only: ['epsilon', 'epsilon-alpha2-beta1'] },
  relevance_dense: { merges: false },
  relevance_dense_functions: {
    merges: false,
    zennit: 'relevance_dense',
    only: ['epsilon-plus-flat', 'epsilon-gamma-box'],
  },
  relevance_single: { only: single },
  resnet18_double: { only: rules },
  densenet121_double: { size: [2, 3, 64, 80], only: rules },
}
const peer = await peerReference('peer_relevance.py', {
  models: {
    ...Object.fromEntries(Object.entries(zennits).map(([name, net]) => [name, { classes, ...net }])),
    relevance_unnormed: { classes, only: [], captum: true },
  },
})
const runPeer = needing('peers', peer, test.serial)

const refused = {
  softmax_inside: ['softmax', ''],
  gate: ['mul', ''],
  normed: ['layer_norm', ''],
  batch_statistics: ['batch_norm', ''],
  relevance_softmax: ['softmax', ''],
}
const derivedNets = ['relevance_norm_first', 'relevance_arithmetic'] as const
const exported = ['relevance_plain', 'relevance_in_place', 'relevance_dense_functions']
const job = {
  models: {
    ...Object.fromEntries(exported.map((name) => [name, { classes, export: true }])),
    ...Object.fromEntries(derivedNets.map((name) => [name, { classes, derive: true, export: true }])),
    ...Object.fromEntries(Object.keys(refused).map((name) => [name, { classes }])),
    relevance_two_outputs: { classes },
    part_in_place: { classes },
  },
}

async function derive(): Promise<Reference> {
  const python = await testPython()
  const key = [JSON.stringify(job), programsHash('relevance.py'), python.identity]
  const folder = await cachedFolder('relevance', key, async (partial) => {
    mkdirSync(partial)
    const file = join(partial, 'job.json')
    writeFileSync(file, JSON.stringify(job))
    await runPython(python, 'relevance.py', [file, partial])
  })
  return new Reference(folder, JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')))
}

const derived = await derive()
const nets = await smallNets()
const values = (tensor: Tensor) => ({ shape: [...tensor.shape], data: tensor.toTypedArray() as Float64Array })
/** In float64 both only differ by the order of sums; denominators are 1e-6 at least. In float32 see test/support/judged.ts. */
const toleranceOf = (input: Tensor) => (input.dtype === 'float64' ? 1e-9 : 1e-5)

for (const kind of ['scripted', 'traced'] as const) {
  for (const [name, net] of Object.entries(zennits))
    runPeer(`${name}, ${kind}: as zennit, by every composite and rule`, async (t) => {
      using model = await ScriptModule.load(peer!.file(name, kind))
      using input = toTensor(peer!.input(name))
      const scores = peer!.tensor(name, 'peers', 'scores')
      for (const what of 'only' in net ? net.only : Object.keys(options)) {
        using lrp = new Lrp(model, options[what])
        using found = await lrp.explain(input, { target: classes })
        const expected = peer!.tensor(name, 'peers', what)
        assertParity(t, found.attribution, expected, what, toleranceOf(input))
        assertNumbers(t, found.scores, scores, `${what}: scores`)
        using sums = found.attribution.to({ dtype: 'float64' }).sum([1, 2, 3])
        const missing = (sums.tolist() as number[]).map((sum, i) => sum - found.scores[i]!)
        t.true(farthest(found.delta!, missing) < 1e-12, `${what}: delta`)
      }
    })

  for (const name of derivedNets)
    test.serial(`${name}, ${kind}: as derived again from the matrix of every part`, async (t) => {
      using model = await ScriptModule.load(derived.file(name, kind))
      using input = toTensor(derived.input(name))
      for (const what of [
        'epsilon',
        'epsilon-plus',
        'epsilon-plus-flat',
        'epsilon-alpha2-beta1',
        'epsilon-gamma-box',
      ]) {
        using lrp = new Lrp(model, options[what])
        if (name === 'relevance_arithmetic' && what === 'epsilon-gamma-box') {
          const error = await t.throwsAsync(lrp.explain(input, { target: classes }), { code: 'ERR_ACTIVATION' })
          t.regex(error!.message, /convolution in layer 'conv1'.*bounds do not hold/)
          continue
        }
        using found = await lrp.explain(input, { target: classes })
        assertParity(t, found.attribution, derived.tensor(name, 'derived', what), what, 1e-9)
      }
    })

  test.serial(`${kind}: an operator without a rule is refused by name, with its layer`, async (t) => {
    for (const [name, [operator]] of Object.entries(refused)) {
      using model = await ScriptModule.load(derived.file(name, kind))
      using input = toTensor(derived.input(name))
      using lrp = new Lrp(model)
      const error = await t.throwsAsync(lrp.explain(input, { target: 1 }), { code: 'ERR_ACTIVATION' }, name)
      t.regex(error!.message, new RegExp(`goes through \\w*${operator}`), name)
    }
    using model = await ScriptModule.load(nets.file('vit', kind))
    using input = toTensor(nets.input('vit'))
    using lrp = new Lrp(model)
    const error = await t.throwsAsync(lrp.explain(input, { target: 1 }), { code: 'ERR_ACTIVATION' })
    const { details, remedy } = error as unknown as { details: { operator: string; layer: string }; remedy: string }
    t.is(/logit/.test(remedy), /softmax/.test(details.operator), 'a logit is no remedy for a layer norm')
    t.regex(remedy, /integrated gradients/)
    t.regex(details.layer, /\w/)
    t.true(error!.message.includes(`${details.operator} in layer '${details.layer}'`), error!.message)
  })
}

for (const name of [...exported, ...derivedNets])
  test.serial(`${name}: an exported program as its trace`, async (t) => {
    using traced = await ScriptModule.load(derived.file(name, 'traced'))
    using model = await ScriptModule.load(derived.file(name, 'exported'))
    using input = toTensor(derived.input(name))
    for (const what of ['epsilon', 'epsilon-plus-flat']) {
      using of = new Lrp(traced, options[what])
      using lrp = new Lrp(model, options[what])
      using expected = await of.explain(input, { target: classes })
      using found = await lrp.explain(input, { target: classes })
      assertParity(t, found.attribution, values(expected.attribution), what, 1e-12)
      t.is(found.intercepted, expected.intercepted)
    }
  })

runPeer("as Captum's LRP, where it has rules", async (t) => {
  const name = 'relevance_unnormed'
  using model = await ScriptModule.load(peer!.file(name, 'scripted'))
  using input = toTensor(peer!.input(name))
  const rule = { rule: 'epsilon', epsilon: 1e-9 } as const
  using lrp = new Lrp(model, { composite: { convolution: rule, linear: rule, epsilon: 1e-9 } })
  using found = await lrp.explain(input, { target: classes })
  // Its epsilon is in the denominators of max-pools as well, where relevance passes here.
  assertParity(t, found.attribution, peer!.tensor(name, 'peers', 'captum'), 'captum', 1e-6)
})

test.serial('what is not explained needs no rule', async (t) => {
  using model = await ScriptModule.load(derived.file('relevance_two_outputs', 'scripted'))
  using plain = await ScriptModule.load(derived.file('relevance_plain', 'scripted'))
  using input = toTensor(derived.input('relevance_plain'))
  using lrp = new Lrp(model)
  using other = new Lrp(plain)
  using found = await lrp.explain(input, { target: { kind: 'class', class: 1, of: 'out' } })
  using expected = await other.explain(input, { target: 1 })
  assertSame(t, found.attribution, values(expected.attribution), 'relevance', 1e-12)
  const probabilities = { kind: 'class', class: 1, of: 'probabilities' } as const
  await t.throwsAsync(lrp.explain(input, { target: probabilities }), {
    code: 'ERR_ACTIVATION',
    message: /softmax.*explain a logit/,
  })
  const byFunction = { target: (logits: Tensor) => logits.exp().sum() }
  await t.throwsAsync(other.explain(input, byFunction), { code: 'ERR_ACTIVATION', message: /not linear/ })
})

test.serial('a ReLU of a part in place passes relevance on', async (t) => {
  using model = await ScriptModule.load(derived.file('part_in_place', 'scripted'))
  using input = toTensor(derived.input('part_in_place'))
  using lrp = new Lrp(model, { composite: 'epsilon' })
  using found = await lrp.explain(input, { target: classes })
  t.true(found.conditions.every(({ state }) => state === 'ok'))
})

test.serial('each image is explained as alone, for any kind of target, and the model stays as it was', async (t) => {
  using model = await ScriptModule.load(derived.file('relevance_plain', 'scripted'))
  using input = toTensor(derived.input('relevance_plain'))
  using before = await model.forward(input)
  using gradient = new InputAttribution(model, { method: 'gradient' })
  using slope = await gradient.explain(input, { target: classes })
  using lrp = new Lrp(model, options['epsilon-gamma-box'])
  using together = await lrp.explain(input, { target: classes })
  t.is(together.intercepted, 6, 'three convolutions, a pool and two linear layers')
  for (const i of classes) {
    using image = input.narrow(0, i, 1)
    using alone = await lrp.explain(image, { target: i })
    using part = together.attribution.narrow(0, i, 1)
    assertSame(t, alone.attribution, values(part), `image ${i}`, 1e-12)
  }
  const sumOfBoth = (logits: Tensor) => logits.select(0, 0).select(0, 0).add(logits.select(0, 1).select(0, 1))
  using byFunction = await lrp.explain(input, { target: sumOfBoth })
  assertSame(t, byFunction.attribution, values(together.attribution), 'function', 1e-12)
  using zero = await lrp.explain(input, { target: 0 })
  using one = await lrp.explain(input, { target: 1 })
  using difference = await lrp.explain(input, { target: { kind: 'difference', class: 0, minus: 1 } })
  using expected = zero.attribution.sub(one.attribution)
  assertSame(t, difference.attribution, values(expected), 'relevance adds up over targets', 1e-9)
  using after = await model.forward(input)
  assertSame(t, after, values(before), 'output', 0)
  using again = await gradient.explain(input, { target: classes })
  assertSame(t, again.attribution, values(slope.attribution), 'gradient', 0)
})

test.serial('smoothing takes the mean over noisy copies, whatever the batch size', async (t) => {
  using model = await ScriptModule.load(derived.file('relevance_plain', 'scripted'))
  using input = toTensor(derived.input('relevance_plain'))
  const smooth = { samples: 3, sigma: 0.1, seed: 2 }
  using one = new Lrp(model, { smooth, batchSize: 1 })
  using many = new Lrp(model, { smooth, batchSize: 100 })
  using expected = await one.explain(input, { target: classes })
  using found = await many.explain(input, { target: classes })
  assertSame(t, found.attribution, values(expected.attribution), 'smooth', 1e-12)
  t.is(found.delta, null)
})

test.serial('functions, modules, in-place forms and traces of every small net agree', async (t) => {
  const names = ['every_kind_of_relu', 'relu6', 'one_dimension', 'three_dimensions', 'in_place_on_input', 'residual']
  for (const name of [...names, 'called_twice', 'siblings', 'dense', 'viewed', 'inner_structures', 'segmentation']) {
    const found: Tensor[] = []
    for (const kind of ['scripted', 'traced'] as const) {
      using model = await ScriptModule.load(nets.file(name, kind))
      using input = toTensor(nets.input(name))
      using lrp = new Lrp(model)
      const target = name === 'segmentation' ? (output: Tensor) => output.sum() : 0
      using explained = await lrp.explain(input, { target })
      t.true(
        explained.conditions.every(({ state }) => state === 'ok'),
        name,
      )
      found.push(explained.attribution.clone())
    }
    using scripted = found[0]!
    using traced = found[1]!
    assertSame(t, traced, values(scripted), name, 1e-5)
  }
})

test.serial('settings that do not fit are refused, and nothing is left behind', async (t) => {
  using model = await ScriptModule.load(derived.file('relevance_plain', 'scripted'))
  using input = toTensor(derived.input('relevance_plain'))
  const bad: readonly (readonly [object, RegExp])[] = [
    [{ composite: 'epsilon-minus' }, /composite.*epsilon-plus/],
    [{ composite: { convolution: { rule: 'epsilon' } } }, /composite\.linear/],
    [{ composite: { convolution: { rule: 'beta' }, linear: { rule: 'epsilon' } } }, /composite\.convolution\.rule/],
    [everywhere({ rule: 'epsilon', gama: 1 } as never), /gama/],
    [everywhere({ rule: 'alpha-beta', alpha: 2, beta: 2 }), /alpha - beta/],
    [everywhere({ rule: 'gamma', gamma: -1 }), /gamma/],
    [{ composite: 'epsilon-gamma-box', low: 0 }, /high/],
    [{ composite: 'epsilon-gamma-box', low: 'a', high: 1 }, /low/],
    [{ low: 0 }, /low.*z-box/],
  ]
  const before = await heldTensors()
  for (const [given, message] of bad)
    t.throws(() => new Lrp(model, given as LrpOptions), { code: 'ERR_INVALID_ARGUMENT', message }, message.source)
  {
    using wrong = new Lrp(model, { composite: 'epsilon-gamma-box', low: [0, 0], high: 1 })
    await t.throwsAsync(wrong.explain(input), { code: 'ERR_SHAPE', message: /`low` has the shape \[2, 1, 1\]/ })
    const signal = AbortSignal.abort(new Error('no longer needed'))
    await t.throwsAsync(wrong.explain(input, { signal }), { message: 'no longer needed' })
  }
  t.true((await settledLiveTensors(before)) <= before)
})

test('the relevance of a unit of a layer begins there: by epsilon rules and ReLUs it is input times gradient', async (t) => {
  using model = await ScriptModule.load(derived.file('relevance_plain', 'scripted'))
  using input = toTensor(derived.input('relevance_plain'))
  const rule = { rule: 'epsilon', epsilon: 1e-12 } as const
  const given = { composite: { convolution: rule, linear: rule, epsilon: 1e-12 }, scoreLayer: 'stages.8' }
  const target = { kind: 'element', at: [1, 1, 1] } as const
  using relevance = new InputAttribution(model, { method: 'lrp', ...given })
  using found = await relevance.explain(input, { target })
  using gradients = new InputAttribution(model, { method: 'input-x-gradient', scoreLayer: 'stages.8' })
  using expected = await gradients.explain(input, { target })
  t.deepEqual(found.scores, expected.scores)
  assertSame(t, found.attribution, values(expected.attribution), 'stages.8', 1e-8)
})
