import test from 'ava'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  Cam,
  emptyCache,
  explainAll,
  GradCam,
  InputPerturbation,
  ScriptModule,
  setTensorMemoryLimit,
  tensorMemory,
  type LoadOptions,
  type Tensor,
} from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'
import { run } from '../../lib/base/processes.js'
import { copiedNets } from '../support/copied-nets.js'
import { smallNets } from '../support/models.js'
import { assertParity, relativeError } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'

const nets = await copiedNets()
const small = await smallNets()
const denseLayers = ['stem', 'layer1', 'layer2', 'layer3', 'norm', 'layer1.conv1', 'layer2.conv1', 'layer3.conv1']

async function mapOf(model: ScriptModule, input: Tensor, layers: readonly string[]): Promise<Float32Array> {
  using cam = new Cam(model, { layers, methods: ['gradcam'], execution: 'split' })
  using found = await cam.explain(input, { target: 0 })
  return found.cam.toTypedArray() as Float32Array
}

test.serial('new explainers, of every kind, leave no memory behind', async (t) => {
  // 60 copies of the net's folded weights alone would be 84 MB.
  const rounds = 60
  const program = join(packageRoot, 'dist/test/support/resident-growth.js')
  const { code, stdout, stderr } = await run(process.execPath, [
    '--expose-gc',
    program,
    nets.file('heavy'),
    String(rounds),
  ])
  t.is(code, 0, stderr)
  const grown = JSON.parse(stdout) as Record<string, number>
  t.true(Object.keys(grown).length >= 12)
  for (const [way, megabytes] of Object.entries(grown)) {
    t.log(`${way}: ${megabytes.toFixed(1)} MB`)
    t.true(megabytes < 10, `${way}: ${megabytes.toFixed(1)} MB more resident after ${rounds} rounds`)
  }
})

test('all explainers of a model share its splits', async (t) => {
  using model = await ScriptModule.load(nets.file('heavy'))
  using input = toTensor(nets.input)
  t.like(model.splitMemory(), { splits: 0, bytes: 0, made: 0 })
  const first = await mapOf(model, input, ['features'])
  const { splits, bytes, made } = model.splitMemory()
  t.deepEqual({ splits, made }, { splits: 1, made: 1 })
  // The net's own weights are 1.4 MB; a split has them folded, and once more in the order that oneDNN requires.
  t.true(bytes > 1.3e6 && bytes < 4e6, `${bytes}`)
  t.deepEqual(await mapOf(model, input, ['features']), first)
  {
    using gradCam = new GradCam(model, ['features'])
    using _found = await gradCam.explain(input, { target: 1 })
    using _output = await gradCam.forward(input)
    await gradCam.backward(2)
  }
  using one = input.narrow(0, 0, 1)
  for await (using result of explainAll([one], { model, layer: 'features' })) t.true(result.ok)
  t.is(model.splitMemory().made, 1)
  using whole = new InputPerturbation(model, { method: 'occlusion', window: [8, 8] })
  using _occluded = await whole.explain(input, { target: 0 })
  using scoreCam = new Cam(model, { layers: ['features'], methods: ['scorecam'] })
  using _masked = await scoreCam.explain(input, { target: 0 })
  t.like(model.splitMemory(), { splits: 2, made: 2 }, 'all of the model, for both of them')
})

test.serial('only the first explainer takes the time to cut the model', async (t) => {
  const sample = new URL('../../../samples/animals-densenet.pt', import.meta.url)
  using model = await ScriptModule.load(readFileSync(sample))
  using input = toTensor(nets.input)
  const times: number[] = []
  for (let i = 0; i < 6; i++) {
    const start = performance.now()
    await mapOf(model, input, ['features'])
    times.push(performance.now() - start)
  }
  const [first = 0, ...later] = times
  t.log(`${first.toFixed(0)} ms, then ${later.map((ms) => ms.toFixed(0)).join(', ')}`)
  t.true(Math.min(...later) < first / 3)
})

test('splits are bounded in number, and those go that were not used the longest', async (t) => {
  using model = await ScriptModule.load(small.file('dense'))
  using unbounded = await ScriptModule.load(small.file('dense'), { splitMemory: Infinity })
  using input = toTensor(small.input('dense'))
  t.is(unbounded.splitMemory().limit, Infinity)
  t.is(model.splitMemory().limit, 2 ** 30)
  const single = denseLayers.map((layer) => [layer])
  const plans = [...single, ...denseLayers.flatMap((a) => denseLayers.filter((b) => b !== a).map((b) => [a, b]))]
  const maps: Float32Array[] = []
  for (const plan of plans) {
    maps.push(await mapOf(model, input, plan))
    await mapOf(model, input, ['stem'])
    t.true(model.splitMemory().splits <= 32)
  }
  t.true(plans.length > 40)
  t.like(model.splitMemory(), { splits: 32, made: plans.length })
  await mapOf(model, input, ['stem'])
  await mapOf(model, input, plans.at(-31) ?? [])
  t.is(model.splitMemory().made, plans.length, 'these are among the 32 that were used last')
  for (const [i, plan] of plans.slice(1, 5).entries())
    t.deepEqual(await mapOf(model, input, plan), maps[i + 1], 'cut again, it gives the same')
  t.like(model.splitMemory(), { splits: 32, made: plans.length + 4 })
})

test('splits are bounded in bytes, and the one that was used last stays', async (t) => {
  using input = toTensor(nets.input)
  using free = await ScriptModule.load(nets.file('heavy'))
  const layers = ['features', 'stem', 'narrow']
  const expected = await Promise.all(layers.map((layer) => mapOf(free, input, [layer])))
  const { splits, bytes } = free.splitMemory()
  t.is(splits, 3)
  const limits: [limit: number, kept: number][] = [
    [bytes, 3],
    [bytes - 1, 2],
    [0, 1],
  ]
  for (const [limit, kept] of limits) {
    using model = await ScriptModule.load(nets.file('heavy'), { splitMemory: limit })
    t.is(model.splitMemory().limit, limit)
    for (const round of ['first', 'second'])
      for (const [i, layer] of layers.entries())
        t.deepEqual(await mapOf(model, input, [layer]), expected[i], `${layer} ${round}`)
    const now = model.splitMemory()
    t.is(now.splits, kept)
    t.true(now.bytes <= limit || now.splits === 1)
    t.true(kept === 3 ? now.made === 3 : now.made === 6, `${now.made} made`)
    using copy = await model.randomized()
    t.is(copy.splitMemory().limit, limit)
  }
})

test('a run goes on with its split although the model has let that go', async (t) => {
  using input = toTensor(nets.input)
  const explain = async (options: LoadOptions): Promise<Float32Array[]> => {
    using model = await ScriptModule.load(nets.file('heavy'), options)
    using cam = new Cam(model, { layers: ['stem', 'features'], methods: ['ablationcam', 'scorecam', 'gradcam'] })
    using other = new GradCam(model, ['narrow'])
    using _output = await other.forward(input)
    using _found = await cam.explain(input, { target: 0 }) // between the other's forward and its backward
    await other.backward(0)
    using rerun = await cam.explain(input, { target: 0 })
    using narrow = other.get('narrow')
    t.deepEqual(rerun.execution, { path: 'split' })
    return [rerun.cam.toTypedArray() as Float32Array, narrow.toTypedArray() as Float32Array]
  }
  t.deepEqual(await explain({ splitMemory: 0 }), await explain({}))
})

test.serial('where memory is short for another split, the others go first', async (t) => {
  using input = toTensor(nets.input)
  using model = await ScriptModule.load(nets.file('heavy'))
  for (const layer of ['features', 'stem']) await mapOf(model, input, [layer])
  const expected = await mapOf(model, input, ['narrow'])
  using fresh = await ScriptModule.load(nets.file('heavy'))
  for (const layer of ['features', 'stem']) await mapOf(fresh, input, [layer])
  emptyCache()
  setTensorMemoryLimit(tensorMemory().live + 1_000_000)
  try {
    t.deepEqual(await mapOf(fresh, input, ['narrow']), expected)
    t.is(fresh.splitMemory().splits, 1)
    setTensorMemoryLimit(0)
    await t.throwsAsync(mapOf(fresh, input, ['wide']), { code: 'ERR_OUT_OF_MEMORY' })
  } finally {
    setTensorMemoryLimit(Infinity)
  }
  t.is((await mapOf(fresh, input, ['wide'])).length, 2 * 16 * 20, 'that memory was short is not a reason for ever')
})

test.serial('the splits go with the model', async (t) => {
  using input = toTensor(nets.input)
  emptyCache()
  const before = tensorMemory().live
  const model = await ScriptModule.load(nets.file('heavy'))
  for (const layer of ['features', 'stem', 'narrow', 'wide']) await mapOf(model, input, [layer])
  t.true(tensorMemory().live - before > 4 * 1_300_000)
  model.dispose()
  for (let tries = 0; tensorMemory().live > before && tries < 100; tries++)
    await new Promise((resolve) => setTimeout(resolve, 10))
  t.true(tensorMemory().live <= before)
})

test('a limit that is not one is refused', async (t) => {
  for (const splitMemory of [-1, 1.5, NaN, '1' as never, null as never])
    await t.throwsAsync(ScriptModule.load(nets.file('heavy'), { splitMemory }), { code: 'ERR_INVALID_ARGUMENT' })
})

// The split runs a copy of the model, which has to be one whatever the model is made of.
for (const name of nets.names)
  test(`a copy of ${name} computes what PyTorch does`, async (t) => {
    using model = await ScriptModule.load(nets.file(name))
    using input = toTensor(nets.input)
    const executions = ['auto', 'hooked', 'auto'] as const
    for (const [i, execution] of executions.entries()) {
      using gradCam = new GradCam(model, ['features'], { execution })
      using found = await gradCam.explain(input, { target: 1 })
      if (execution === 'auto' && name !== 'script_class') t.deepEqual(found.execution, { path: 'split' })
      using scaled = found.cam.div(name === 'counting' ? i + 1 : 1) // its runs, of both kinds, have one count
      assertParity(t, scaled, nets.cam(name), `run ${i + 1}, ${execution}`)
    }
  })

test('a randomised copy has its parameters tied where the model has', async (t) => {
  using input = toTensor(nets.input)
  const tied = { tied_parameters: ['wide', 'narrow'], shared_module: ['before', 'again'] }
  for (const [name, paths] of Object.entries(tied)) {
    using model = await ScriptModule.load(nets.file(name))
    using plain = await model.forward(input)
    const outputs: ArrayLike<number | bigint>[] = []
    for (const path of paths) {
      using copy = await model.randomized({ modules: [path], seed: 7 })
      using output = await copy.forward(input)
      outputs.push(output.toTypedArray())
    }
    t.deepEqual(outputs[0], outputs[1], name)
    t.true(relativeError(outputs[0] ?? [], plain.toTypedArray()) > 0.01)
  }
})

test('a randomised copy has state of its own', async (t) => {
  using model = await ScriptModule.load(nets.file('counting'))
  using input = toTensor(nets.input)
  using first = await model.forward(input)
  using copy = await model.randomized({ modules: ['head'] })
  for (let i = 0; i < 3; i++) {
    using _output = await copy.forward(input)
  }
  using second = await model.forward(input)
  using twice = first.mul(2)
  t.true(relativeError(second.toTypedArray(), twice.toTypedArray()) < 1e-6)
})
