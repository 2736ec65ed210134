import test from 'ava'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  Cam,
  enqueueJob,
  explainAll,
  GradCam,
  makeJobSpec,
  manualSeed,
  ScriptModule,
  Tensor,
  type PrecisionChoice,
  type PrecisionTrial,
} from '../../lib/index.js'
import { readBuildInfo } from '../../lib/addon/build-info.js'
import { precisionFolder } from '../../lib/base/cache-folder.js'
import { packageRoot } from '../../lib/base/paths.js'
import { choosePrecision } from '../../lib/explain/precision.js'
import { writeJpegs } from '../support/batch.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { unusualNets } from '../support/unusual-nets.js'
import { lines } from '../support/workplace.js'

const sample = join(packageRoot, 'samples', 'animals-densenet.pt')
const nets = await unusualNets('ways_in_nets.py')

// Measurements of this machine must not decide, nor those of the test be left.
const caches = temporaryFolder(null)
test.beforeEach(() => {
  process.env['GRADCAM_CACHE'] = mkdtempSync(join(caches, 'cache-'))
})

function inputOf(seed: number, shape: readonly number[] = [1, 3, 64, 64]): Tensor {
  manualSeed(seed)
  return Tensor.rand(shape)
}
const records = (): string[] => (existsSync(precisionFolder()) ? readdirSync(precisionFolder()) : [])

/** The largest difference of two maps, each min-max normalised, in plain arithmetic. */
function difference(a: Tensor, b: Tensor): number {
  const scaled = (map: Tensor): number[] => {
    const values = [...(map.toTypedArray() as Float32Array)]
    const [least, most] = [Math.min(...values), Math.max(...values)]
    return values.map((value) => (most === least ? 0 : (value - least) / (most - least)))
  }
  const [left, right] = [scaled(a), scaled(b)]
  return Math.max(...left.map((value, i) => Math.abs(value - (right[i] as number))))
}

const trial = (
  dtype: PrecisionTrial['dtype'],
  milliseconds: number,
  error: number,
  refused?: string,
): PrecisionTrial => ({
  dtype,
  milliseconds,
  error,
  ...(refused !== undefined && { refused }),
})

for (const [what, others, most, chosen] of [
  ['the fastest within the limit', [trial('bfloat16', 4, 0.02), trial('float16', 3, 0.01)], 0.05, 'float16'],
  ['what moves maps too far is left out', [trial('bfloat16', 4, 0.02), trial('float16', 3, 0.2)], 0.05, 'bfloat16'],
  ['the limit itself is allowed', [trial('bfloat16', 4, 0.02), trial('float16', 30, 0)], 0.02, 'bfloat16'],
  ['what is hardly faster is not worth it', [trial('bfloat16', 9.6, 0), trial('float16', 9.9, 0)], 0.05, 'float32'],
  ['what is slower is not worth it', [trial('bfloat16', 40, 0), trial('float16', 90, 0)], 0.05, 'float32'],
  ['what was refused is left out', [trial('bfloat16', 1, 0, 'another class'), trial('float16', 9, 0)], 0.05, 'float16'],
  ['maps that are not numbers are left out', [trial('bfloat16', 1, Infinity), trial('float16', 2, NaN)], 9, 'float32'],
] as const)
  test(`of what was measured: ${what}`, (t) => {
    const { dtype, trials } = choosePrecision([trial('float32', 10, 0), ...others], most, false)
    t.is(dtype, chosen)
    t.is(trials.length, 3)
  })

test.serial(
  'the first explanation chooses; the map is that of the chosen type, and the error stated is the one of its maps',
  async (t) => {
    using model = await ScriptModule.load(sample)
    using auto = new GradCam(model, ['features'], { precision: 'auto', precisionError: 1 })
    using input = inputOf(1)
    using found = await auto.explain(input)
    const { precision } = found.execution
    t.truthy(precision)
    const { dtype, trials, remembered } = precision as PrecisionChoice
    t.false(remembered)
    t.deepEqual(
      trials.map((one) => one.dtype),
      ['float32', 'bfloat16', 'float16'],
    )
    using exactCam = new GradCam(model, ['features'])
    using exact = await exactCam.explain(input)
    for (const one of trials.slice(1)) {
      if (one.refused !== undefined) {
        t.regex(one.refused, /took more than|another one/)
        continue
      }
      using named = new GradCam(model, ['features'], { precision: one.dtype as 'bfloat16' })
      using reduced = await named.explain(input)
      t.true((one.milliseconds ?? 0) > 0)
      t.true((one.error ?? 0) > 0, 'a type with fewer bits moves maps')
      t.true(Math.abs((one.error as number) - difference(exact.cam, reduced.cam)) < 1e-6, one.dtype)
      if (one.dtype === dtype) t.deepEqual(found.cam.toTypedArray(), reduced.cam.toTypedArray())
    }
    if (dtype === 'float32') t.deepEqual(found.cam.toTypedArray(), exact.cam.toTypedArray())

    using again = await auto.explain(input)
    t.is(again.execution.precision?.dtype, dtype)
    // What took too long on a busy machine may be fast next time: it is not remembered.
    t.is(records().length, trials.some(({ timedOut }) => timedOut) ? 0 : 1)
  },
)

test.serial('where nothing may move, and where maps would move too far, it is float32', async (t) => {
  using model = await ScriptModule.load(sample)
  using cam = new Cam(model, { layers: ['features'], precision: 'auto', precisionError: 0 })
  using input = inputOf(2)
  using found = await cam.explain(input)
  t.is(found.execution.precision?.dtype, 'float32')
  using plain = new Cam(model, { layers: ['features'] })
  using expected = await plain.explain(input)
  t.deepEqual(found.cam.toTypedArray(), expected.cam.toTypedArray())
  t.is(expected.execution.precision, undefined)
})

test.serial('forward and backward take what was chosen; before, the own type of the model', async (t) => {
  using model = await ScriptModule.load(sample)
  using cam = new GradCam(model, ['features'], { precision: 'auto', precisionError: 1 })
  using input = inputOf(3)
  using _before = await cam.forward(input)
  t.is(cam.execution.precision, undefined)
  using found = await cam.explain(input)
  using _after = await cam.forward(input)
  await cam.backward()
  using map = cam.get()
  t.deepEqual(map.toTypedArray(), found.cam.toTypedArray())
  t.is(cam.execution.precision?.dtype, found.execution.precision?.dtype)
  const top = await cam.explainTop(input, 2)
  for (using one of top) t.is(one.execution.precision?.dtype, found.execution.precision?.dtype)
})

test.serial('target functions, several images, and methods that run the model again', async (t) => {
  using model = await ScriptModule.load(sample)
  using cam = new Cam(model, { layers: ['features'], methods: ['scorecam'], chunkSize: 64, precision: 'auto' })
  using input = inputOf(4, [2, 3, 32, 32])
  using found = await cam.explain(input, { target: [1, 2] })
  t.truthy(found.execution.precision)
  using by = new GradCam(model, ['features'], { precision: 'auto' })
  using other = await by.explain(input, { target: (logits: Tensor) => logits.select(1, 2).sum() })
  t.is(other.execution.precision?.trials.length, 3)
})

test.serial('calls at the same time choose once', async (t) => {
  using model = await ScriptModule.load(sample)
  using cam = new GradCam(model, ['features'], { precision: 'auto' })
  using other = new GradCam(model, ['features'], { precision: 'auto' })
  using input = inputOf(5)
  const found = await Promise.all([cam, cam, other, other].map((one) => one.explain(input)))
  const choices = found.map(({ execution }) => execution.precision as PrecisionChoice)
  t.is(new Set(choices.map(({ trials }) => JSON.stringify(trials))).size, 1, 'one measurement')
  t.is(choices.filter(({ remembered }) => !remembered).length, 2, 'that of the explainer which made it')
  for (const one of found) one.dispose()
})

test.serial('where the call that chooses is stopped, or fails, the next one chooses', async (t) => {
  using model = await ScriptModule.load(sample)
  using cam = new GradCam(model, ['features'], { precision: 'auto' })
  using input = inputOf(6)
  const reason = new Error('enough')
  const stopped = cam.explain(input, { signal: AbortSignal.abort(reason) })
  const waiting = cam.explain(input)
  await t.throwsAsync(stopped, { is: reason })
  await t.throwsAsync(cam.explain(input, { target: 999 }), { code: 'ERR_TARGET_OUT_OF_RANGE' } as never)
  using found = await waiting
  t.is(found.execution.precision?.trials.length, 3)
})

test.serial('maps that are zero everywhere choose nothing, and the next ones choose', async (t) => {
  using model = await ScriptModule.load(sample)
  using cam = new GradCam(model, ['features'], { precision: 'auto' })
  using empty = Tensor.zeros([1, 3, 64, 64])
  using nothing = await cam.explain(empty, { target: (logits: Tensor) => logits.sum().mul(0) })
  t.like(nothing.execution.precision, { dtype: null, trials: [] })
  t.regex(nothing.execution.precision?.why ?? '', /No map of these inputs varies/)
  using input = inputOf(10)
  using found = await cam.explain(input)
  t.is(found.execution.precision?.trials.length, 3)
})

test.serial('where the model cannot be split any more, it computes in its own type, and says so', async (t) => {
  using model = await ScriptModule.load(sample)
  using cam = new GradCam(model, ['features'], { precision: 'auto', precisionError: 1 })
  using input = inputOf(1)
  using before = await cam.explain(input)
  using _hook = model.registerForwardHook('features', () => undefined)
  using found = await cam.explain(input)
  t.is(found.execution.path, 'hooked')
  if (before.execution.precision?.dtype === 'float32') return
  t.is(found.execution.precision?.dtype, null)
  t.regex(found.execution.precision?.why ?? '', /hook/)
})

test.serial(
  'models that cannot be split, or compute in another type, say that there is nothing to choose',
  async (t) => {
    using model = await ScriptModule.load(sample)
    using input = inputOf(7)
    using hook = model.registerForwardHook('features', () => undefined)
    using cam = new GradCam(model, ['features'], { precision: 'auto' })
    using found = await cam.explain(input)
    t.is(found.execution.path, 'hooked')
    t.is(found.execution.precision?.dtype, null)
    t.regex(found.execution.precision?.why ?? '', /^The model runs hooked: .*hook/)
    hook.remove()

    using double = await nets.load('float64')
    using own = new GradCam(double, ['stem'], { precision: 'auto' })
    using explained = await own.explain(nets.batch('float64').one)
    t.like(explained.execution.precision, { dtype: null, trials: [], why: "The model's own type is float64." })
  },
)

/** What another process chooses for the sample model. */
function chooseElsewhere(most: number): PrecisionChoice {
  const program = `
    import { GradCam, manualSeed, ScriptModule, Tensor } from 'libtorch-gradcam'
    manualSeed(8)
    using model = await ScriptModule.load('samples/animals-densenet.pt')
    using cam = new GradCam(model, ['features'], { precision: 'auto', precisionError: ${most} })
    using found = await cam.explain(Tensor.rand([1, 3, 64, 64]))
    console.log(JSON.stringify(found.execution.precision))`
  const text = program.replaceAll('using ', 'const ') // Node 20 has no such declarations
  return JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '-e', text], { cwd: packageRoot, encoding: 'utf8' }),
  ) as PrecisionChoice
}

test.serial(
  'another process finds what was measured, whatever error it allows; not a file that was damaged',
  async (t) => {
    const first = chooseElsewhere(1)
    t.false(first.remembered)
    t.is(records().length, 1)
    const second = chooseElsewhere(0)
    t.true(second.remembered)
    t.deepEqual(second.trials, first.trials)
    t.is(second.dtype, 'float32')
    const file = join(precisionFolder(), records()[0] as string)
    for (const damaged of [
      '{"trials": [',
      JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), trials: [{ dtype: 'int8' }] }),
    ]) {
      writeFileSync(file, damaged)
      t.false(chooseElsewhere(1).remembered)
    }
    const listed = gradcam(['cache', 'ls'])
    t.regex(listed.stdout, /precision/)
    const LIBTORCH = readBuildInfo()?.libtorch.root ?? ''
    const told = gradcam(['doctor', sample, '--size', '64x64', '--layer', 'features', '--json'], { LIBTORCH })
    const { checks } = JSON.parse(told.stdout) as { checks: { name: string; found: string }[] }
    const check = checks.find(({ name }) => name === 'Precision')
    t.regex(check?.found ?? '', /^gradcam at features, \[1, 3, 64, 64\]: bfloat16 (takes|cannot)/)
    t.is(gradcam(['cache', 'clean']).code, 0)
    t.deepEqual(records(), [])
  },
)

test.serial('another model, another layer and another size are measured for themselves', async (t) => {
  using model = await ScriptModule.load(sample)
  using random = await model.randomized({ modules: ['classifier'] })
  using input = inputOf(9)
  using larger = inputOf(9, [1, 3, 96, 96])
  for (const [by, layer, given] of [
    [model, 'features', input],
    [random, 'features', input],
    [model, 'features.denseblock1', input],
    [model, 'features', larger],
  ] as const) {
    using cam = new GradCam(by, [layer], { precision: 'auto' })
    using found = await cam.explain(given)
    t.false(found.execution.precision?.remembered)
  }
  t.is(records().length, 4)
})

test.serial('batches: replicas choose alike, and results, manifest and summary say what', async (t) => {
  const folder = temporaryFolder(t)
  using model = await ScriptModule.load(sample)
  using replica = await ScriptModule.load(sample)
  const names = ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg']
  await writeJpegs(folder, names)
  const files = names.map((name) => join(folder, name))
  const chosen = new Set<string | null | undefined>()
  const options = {
    layer: 'features',
    precision: 'auto',
    precisionError: 1,
    batchSize: 1,
    preprocess: 'imagenet',
  } as const
  for await (using result of explainAll(files, { model: [model, replica], ...options }))
    if (result.ok) chosen.add(result.precision?.dtype)
  t.is(chosen.size, 1)

  const job = [
    'batch',
    ...files,
    '--model',
    sample,
    '--layer',
    'features',
    '--write',
    'npy',
    '--out',
    join(folder, 'out'),
  ]
  const ended = gradcam([...job, '--precision', 'auto', '--precision-error', '1'])
  t.is(ended.code, 0, ended.stderr)
  const dtypes = new Set(lines(join(folder, 'out')).map((line) => (line as { precision?: string }).precision))
  t.is(dtypes.size, 1)
  const [dtype] = dtypes
  t.regex(ended.stdout, new RegExp(`${files.length} in ${dtype}, as --precision auto chose`))
  t.is(gradcam([...job, '--resume']).code, 2, 'resumed with another precision')

  t.is(gradcam([...job, '--precision-error', '1']).code, 2)
  t.is(gradcam([...job, '--precision', 'auto', '--precision-error', '-1']).code, 2)
})

test('a job on several machines names a type', async (t) => {
  const folder = temporaryFolder(t)
  await writeJpegs(folder, ['a.jpg'])
  const spec = await makeJobSpec({
    model: sample,
    layer: 'features',
    precision: 'auto',
    sources: [folder],
    base: folder,
  })
  t.is(spec.precision, 'auto')
  const given = { queue: 'redis://127.0.0.1:1', out: join(folder, 'out'), source: [folder] }
  await t.throwsAsync(enqueueJob(spec, given), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /Workers may choose differently/,
  } as never)
  t.false(existsSync(join(folder, 'out')))
})

test('options that make no sense are refused', async (t) => {
  using model = await ScriptModule.load(sample)
  for (const options of [
    { precision: 'fastest' },
    { precision: 'auto', precisionError: -1 },
    { precision: 'auto', precisionError: NaN },
    { precision: 'bfloat16', precisionError: 0.1 },
    { precisionError: 0.1 },
    { precision: 'auto', execution: 'hooked' },
  ])
    t.throws(() => new GradCam(model, ['features'], options as never), { code: 'ERR_INVALID_ARGUMENT' } as never)
})
