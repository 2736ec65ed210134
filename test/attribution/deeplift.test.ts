import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { GradCamError, InputAttribution, ScriptModule, Tensor, type InputAttributionOptions } from '../../lib/index.js'
import { farthest } from '../support/arithmetic.js'
import { cachedFolder } from '../support/cached-folder.js'
import { smallNets } from '../support/models.js'
import { pythonPackagesOrNull } from '../support/numpy.js'
import { assertParity, assertSame } from '../support/parity.js'
import { heldTensors, settledLiveTensors } from '../support/live-tensors.js'
import { peerReference } from '../support/peer-maps.js'
import { programsHash, runPython, testPython } from '../support/python.js'
import { Reference } from '../support/reference.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

const classes = [0, 1, 2]
const refused = {
  softmax_inside: /goes through Softmax/,
  gate: /goes through Mul/,
  normed: /goes through NativeLayerNorm/,
  batch_statistics: /goes through NativeBatchNorm|CudnnBatchNorm/,
  own_mask: /in mul they use different values/,
  detached_part: /in add they use different values/,
  part_in_place: /goes through/,
}
const job = {
  models: {
    rescale_chain: { classes, derive: true },
    rescale_pools: { classes },
    captums_rules_functions: { classes },
    rescale_branch: { classes },
    ...Object.fromEntries(Object.keys(refused).map((name) => [name, { classes }])),
  },
}

async function derive(withNumpy: NodeJS.ProcessEnv): Promise<Reference> {
  const python = await testPython()
  const key = [JSON.stringify(job), programsHash('rescale.py'), python.identity]
  const folder = await cachedFolder('rescale', key, async (partial) => {
    mkdirSync(partial)
    const file = join(partial, 'job.json')
    writeFileSync(file, JSON.stringify(job))
    await runPython({ ...python, env: withNumpy }, 'rescale.py', [file, partial])
  })
  return new Reference(folder, JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')))
}

const packages = await pythonPackagesOrNull()
const derived = packages && (await derive(packages))
const run = needing('packages', derived, test.serial)

const peer = await peerReference('peer_rescale.py', {
  models: {
    siblings: { classes, size: [3, 3, 16, 20] },
    in_place_relu_after: { classes, size: [3, 3, 16, 20] },
    pooled_linear: { classes },
    captums_rules: { classes },
    captums_rules_functions: { classes },
    rescale_chain: { classes },
    plain_double: { classes, size: [3, 3, 16, 20] },
    vgg11: { classes: [4, 7], size: [2, 3, 64, 80] },
  },
})
const runPeer = needing('peers', peer, test.serial)
const nets = await smallNets()
const values = (tensor: Tensor) => ({ shape: [...tensor.shape], data: tensor.toTypedArray() as Float64Array })
const deepLift = (model: ScriptModule, options: Partial<InputAttributionOptions> = {}) =>
  new InputAttribution(model, { ...options, method: 'deeplift' })

for (const kind of ['scripted', 'traced'] as const) {
  run(`${kind}: the rule and that of max-pooling, derived again without a derivative`, async (t) => {
    const expected = (what: string) => derived!.tensor('rescale_chain', 'derived', what)
    using model = await ScriptModule.load(derived!.file('rescale_chain', kind))
    using input = toTensor(derived!.input('rescale_chain'))
    using baseline = toTensor(expected('baseline'))
    using attribution = deepLift(model, { baseline })
    using found = await attribution.explain(input, { target: classes })
    assertParity(t, found.attribution, expected('attribution'), 'attribution', 1e-9)
    t.true(farthest(found.scores, expected('scores').data as Float64Array) < 1e-12)
    using sums = found.attribution.sum([1, 2, 3])
    const gained = Array.from(expected('at baseline').data as Float64Array, (from, i) => found.scores[i]! - from)
    t.true(farthest(sums.tolist() as number[], gained) < 1e-12, 'it adds up')
    t.true(farthest(found.delta!, [0, 0, 0]) < 1e-12)
    t.is(found.intercepted, 6)
  })

  for (const name of ['siblings', 'in_place_relu_after', 'pooled_linear', 'captums_rules']) {
    runPeer(`${name}, ${kind}: as Captum's DeepLift`, async (t) => {
      const expected = (what: string) => peer!.tensor(name, 'captum', what)
      using model = await ScriptModule.load(peer!.file(name, kind))
      using input = toTensor(peer!.input(name))
      using one = toTensor(expected('one baseline'))
      using each = toTensor(expected('each baseline'))
      for (const [what, baseline] of [
        ['zeros', 0],
        ['one', one],
        ['each', each],
      ] as const) {
        using attribution = deepLift(model, { baseline })
        using found = await attribution.explain(input, { target: classes })
        assertParity(t, found.attribution, expected(what), what, input.dtype === 'float64' ? 1e-10 : 1e-5)
        t.true(farthest(found.delta!, expected(`${what} delta`).data as Float32Array) < 1e-4)
      }
    })
  }

  run(`${kind}: what the rule does not reach is refused, never differentiated plainly`, async (t) => {
    for (const [name, message] of Object.entries(refused)) {
      using model = await ScriptModule.load(derived!.file(name, kind))
      using input = toTensor(derived!.input(name))
      using attribution = deepLift(model)
      const options = { code: 'ERR_ACTIVATION', message, instanceOf: GradCamError }
      const error = await t.throwsAsync<GradCamError>(attribution.explain(input, { target: 1 }), options, name)
      if (/rescale rule/.test(error!.problem))
        t.is(/logit/.test(error!.remedy ?? ''), /through \w*Softmax/.test(error!.problem), error.message)
    }
  })
}

run('two runs that take different branches are refused, two that take the same are not', async (t) => {
  using model = await ScriptModule.load(derived!.file('rescale_branch', 'scripted'))
  using input = toTensor(derived!.input('rescale_branch'))
  using same = input.mul(0.9)
  const options = { target: 1 }
  using near = deepLift(model, { baseline: same })
  using found = await near.explain(input, options)
  t.true(farthest(found.delta!, [0, 0]) < 1e-12)
  using far = deepLift(model)
  const message = /calls relu where the baseline's calls tanh/
  await t.throwsAsync(far.explain(input, options), { code: 'ERR_ACTIVATION', message })
})

for (const [name, why] of [
  ['captums_rules_functions', 'functional activations'],
  ['rescale_chain', 'activations that it does not know, and windows that overlap'],
  ['plain_double', 'max-pooling right after a ReLU'],
  ['vgg11', 'the same in a real architecture'],
] as const)
  runPeer(`where Captum is silently off, it adds up: ${why}`, async (t) => {
    using model = await ScriptModule.load(peer!.file(name, 'scripted'))
    using input = toTensor(peer!.input(name))
    using one = toTensor(peer!.tensor(name, 'captum', 'one baseline'))
    using attribution = deepLift(model, { baseline: one })
    using found = await attribution.explain(input, { target: name === 'vgg11' ? [4, 7] : classes })
    const farthestOff = (delta: ArrayLike<number>) => Math.max(...Array.from(delta, Math.abs))
    t.true(farthestOff(found.delta!) < (input.dtype === 'float64' ? 1e-12 : 1e-6), String(found.delta))
    const theirs = peer!.tensor(name, 'captum', 'one delta').data as Float64Array
    t.true(farthestOff(theirs) > 1e-5, theirs.join())
  })

runPeer('a function is a module: the same numbers', async (t) => {
  const found: Tensor[] = []
  for (const name of ['captums_rules', 'captums_rules_functions']) {
    using model = await ScriptModule.load(peer!.file(name, 'traced'))
    using input = toTensor(peer!.input(name))
    using attribution = deepLift(model, { baseline: 0.1 })
    using explained = await attribution.explain(input, { target: classes })
    t.is(explained.intercepted, 8)
    found.push(explained.attribution.clone())
  }
  using modules = found[0]!
  using functions = found[1]!
  assertSame(t, functions, values(modules), 'functions', 1e-12)
})

test.serial('the attributions of every small net add up, whatever it is made of', async (t) => {
  const names = ['every_kind_of_relu', 'relu6', 'one_dimension', 'three_dimensions', 'in_place_on_input', 'relu_free']
  const more = ['called_twice', 'siblings', 'dense', 'residual', 'viewed', 'branches', 'curved', 'inner_structures']
  for (const name of [...names, ...more, 'regression_flat']) {
    for (const kind of ['scripted', 'traced'] as const) {
      using model = await ScriptModule.load(nets.file(name, kind))
      using input = toTensor(nets.input(name))
      using attribution = deepLift(model, { baseline: 0.1 })
      using found = await attribution.explain(input, { target: 0 })
      using start = Tensor.full([...input.shape], 0.1, { dtype: input.dtype })
      using atStart = await model.forward(start)
      using atInput = await model.forward(input)
      using gained = atInput.sub(atStart)
      using perImage = gained.shape.length === 1 ? gained.clone() : gained.select(1, 0)
      using sums = found.attribution.flatten(1).sum(1)
      const bound = input.dtype === 'float64' ? 1e-13 : 1e-6
      t.true(farthest(sums.tolist() as number[], perImage.tolist() as number[]) < bound, `${name}, ${kind}`)
    }
  }
})

run('an image is explained the same in any company, for any kind of target', async (t) => {
  using model = await ScriptModule.load(derived!.file('rescale_pools', 'scripted'))
  using input = toTensor(derived!.input('rescale_pools'))
  using baseline = toTensor(derived!.tensor('rescale_pools', 'derived', 'baseline'))
  using together = deepLift(model, { baseline })
  using found = await together.explain(input, { target: classes })
  t.true(farthest(found.delta!, [0, 0, 0]) < 1e-12)
  for (const i of classes) {
    using image = input.narrow(0, i, 1)
    using from = baseline.narrow(0, i, 1)
    using alone = deepLift(model, { baseline: from })
    using explained = await alone.explain(image, { target: i })
    using part = found.attribution.narrow(0, i, 1)
    assertSame(t, explained.attribution, values(part), `image ${i}`, 1e-12)
  }
  using byFunction = await together.explain(input, {
    target: (logits) => classes.map((c) => logits.select(0, c).select(0, c)).reduce((sum, score) => sum.add(score)),
  })
  assertSame(t, byFunction.attribution, values(found.attribution), 'function', 1e-12)
  t.is(byFunction.delta!.length, 1)
  t.true(Math.abs(byFunction.delta![0]!) < 1e-12)
  using difference = await together.explain(input, { target: { kind: 'difference', class: 1, minus: 2 } })
  t.true(farthest(difference.delta!, [0, 0, 0]) < 1e-12)
  await t.throwsAsync(together.explain(input, { target: { kind: 'probability', class: 1 } }), {
    code: 'ERR_ACTIVATION',
    message: /Softmax/,
  })
  await t.throwsAsync(together.explain(input, { target: (logits) => logits.exp().sum() }), {
    code: 'ERR_ACTIVATION',
    message: /Exp/,
  })
})

run('smoothing takes a baseline for each image, whatever the batch size', async (t) => {
  using model = await ScriptModule.load(derived!.file('rescale_pools', 'scripted'))
  using input = toTensor(derived!.input('rescale_pools'))
  using baseline = toTensor(derived!.tensor('rescale_pools', 'derived', 'baseline'))
  const smooth = { samples: 4, sigma: 0.1, seed: 2 }
  for (const method of ['deeplift', 'integrated-gradients'] as const) {
    using one = new InputAttribution(model, { method, baseline, smooth, steps: 4, batchSize: 1 })
    using many = new InputAttribution(model, { method, baseline, smooth, steps: 4, batchSize: 100 })
    using expected = await one.explain(input, { target: classes })
    using found = await many.explain(input, { target: classes })
    assertSame(t, found.attribution, values(expected.attribution), method, 1e-12)
  }
})

run('a baseline that does not fit is refused, and nothing is left behind', async (t) => {
  using model = await ScriptModule.load(derived!.file('rescale_pools', 'scripted'))
  using input = toTensor(derived!.input('rescale_pools'))
  using wrong = Tensor.full([5, 3, 16, 20], 1)
  const before = await heldTensors()
  {
    using attribution = deepLift(model, { baseline: wrong })
    await t.throwsAsync(attribution.explain(input), { code: 'ERR_SHAPE', message: /baseline does not fit/ })
    using fine = deepLift(model)
    using _found = await fine.explain(input)
    await t.throwsAsync(fine.explain(input, { target: 9 }), { code: 'ERR_TARGET_OUT_OF_RANGE' })
    const signal = AbortSignal.abort(new Error('not needed any more'))
    await t.throwsAsync(fine.explain(input, { signal }), { message: 'not needed any more' })
  }
  t.true((await settledLiveTensors(before)) <= before)
})

run('an input that lies channels-last is compared with a baseline that does, too', async (t) => {
  using model = await ScriptModule.load(nets.file('pooled_linear', 'scripted'))
  using input = toTensor(nets.input('pooled_linear'))
  using apart = input.permute([0, 2, 3, 1])
  using together = apart.contiguous()
  using channelsLast = together.permute([0, 3, 1, 2])
  using zeros = Tensor.zeros(input.shape, { dtype: input.dtype })
  for (const baseline of [0, zeros]) {
    using attribution = deepLift(model, { baseline })
    using plain = await attribution.explain(input, { target: classes })
    using found = await attribution.explain(channelsLast, { target: classes })
    assertParity(t, found.attribution, values(plain.attribution), 'attribution', 1e-12)
  }
})
