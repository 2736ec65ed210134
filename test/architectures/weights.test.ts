import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import {
  architectures,
  GradCam,
  imagenetLabels,
  readPreprocess,
  ScriptModule,
  Tensor,
  type GradCamError,
} from '../../lib/index.js'
import {
  architectureFile,
  findArchitecture,
  preprocessOf,
  type ArchitecturePlan,
} from '../../lib/architectures/architecture.js'
import { fitWeights } from '../../lib/architectures/fit-weights.js'
import { packageRoot } from '../../lib/base/paths.js'
import { readWeights } from '../../lib/architectures/weights-file.js'
import { checkSameJob, type JobSpec } from '../../lib/jobs/job-spec.js'
import { cachedFolder } from '../support/cached-folder.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { assertSame } from '../support/parity.js'
import { programsHash, runPython, testPython } from '../support/python.js'
import { readTensor, type StoredTensor } from '../support/stored-tensor.js'
import { toTensor } from '../support/to-tensor.js'

const python = await testPython()
const folder = await cachedFolder('weights', [programsHash('weights.py'), python.identity], async (partial) => {
  await runPython(python, 'weights.py', [partial])
})
const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as {
  input: StoredTensor
  output: StoredTensor
  modules: string[]
  /** The output with weights that were narrowed to a type and loaded into float32 by load_state_dict. */
  half: Record<'float16' | 'bfloat16', StoredTensor>
}
const input = (): Tensor => toTensor(readTensor(folder, index.input))
const expected = readTensor(folder, index.output)
const file = (name: string): string => join(folder, name)

for (const [name, prefix, key] of [
  ['zip.pth', '', null],
  ['legacy.pth', '', null],
  ['parallel.ckpt', 'module.', 'state_dict'],
  ['lightning.ckpt', 'model.', 'state_dict'],
  ['old-names.pth', '', null],
  ['single.safetensors', '', null],
  ['sharded.safetensors.index.json', '', null],
] as const)
  test.serial(`${name}: weights alone give what eager PyTorch gives with them`, async (t) => {
    using model = await ScriptModule.load('densenet121', { weights: file(name) })
    t.like(model.weights, { architecture: 'densenet121', classes: 7, prefix, key })
    using x = input()
    using y = await model.forward(x)
    // Densenet's convolutions take other algorithms where the memory of weights is aligned otherwise: rounding.
    assertSame(t, y, expected, name)
    t.deepEqual(model.namedModules().map(({ path }) => path).sort(), [...index.modules].sort()) // prettier-ignore
    using gradCam = new GradCam(model, ['features.denseblock4'])
    using found = await gradCam.explain(x, { target: 3 })
    t.deepEqual([...found.get('features.denseblock4').shape], [2, 1, 2, 3])
  })

for (const dtype of ['float16', 'bfloat16'] as const)
  test.serial(`weights of ${dtype} become float32, as load_state_dict makes them`, async (t) => {
    for (const ending of ['pth', 'safetensors']) {
      using model = await ScriptModule.load('densenet121', { weights: file(`${dtype}.${ending}`) })
      t.is(model.weights?.dtype, dtype)
      t.is(model.dtype, 'float32')
      using x = input()
      using y = await model.forward(x)
      assertSame(t, y, readTensor(folder, index.half[dtype]), ending)
      using gradCam = new GradCam(model, ['features'])
      using found = await gradCam.explain(x, { target: 3 })
      t.is(found.get('features').dtype, 'float32')
    }
  })

test.serial('commands take weights of half precision, and say what became of them', (t) => {
  const image = join(packageRoot, 'samples', 'cat_dog.png')
  const weights = ['--model', 'densenet121', '--weights', file('float16.safetensors')]
  for (const command of ['explain', 'batch']) {
    const ended = gradcam([command, image, ...weights, '--out', temporaryFolder(t)])
    t.is(ended.code, 0, ended.stderr)
    t.regex(ended.stderr, /the weights are float16 in the file, and float32 in the model/)
  }
})

test.serial('weights of integers are refused where numbers with fractions are needed', async (t) => {
  await t.throwsAsync(ScriptModule.load('densenet121', { weights: file('integers.pth') }), {
    code: 'ERR_WEIGHTS',
    message: /Of another shape or type: classifier\.weight of int64 instead of float32/,
  })
})

test.serial('the bytes of a file of weights are as good as its path', async (t) => {
  using model = await ScriptModule.load('densenet121', { weights: readFileSync(file('single.safetensors')) })
  using x = input()
  using y = await model.forward(x)
  assertSame(t, y, expected, 'from bytes')
})

test.serial('weights that do not fit are refused with the names, nearest first', async (t) => {
  const error = await t.throwsAsync(ScriptModule.load('densenet121', { weights: file('wrong.pth') }), {
    code: 'ERR_WEIGHTS',
    message:
      /Missing: classifier\.weight \(nearest: head\.weight\).*Not expected: head\.weight, head\.bias.*conv0\.weight \[64, 1, 7, 7\] instead of \[64, 3, 7, 7\]/,
  })
  t.like((error as { details?: object }).details, {
    missing: ['classifier.weight', 'classifier.bias'],
    unexpected: ['head.weight', 'head.bias'],
  })
  await t.throwsAsync(ScriptModule.load('densenet120', { weights: file('zip.pth') }), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /architecture 'densenet120' does not exist. Did you mean 'densenet121'\?/,
  })
})

test.serial('weights of another architecture are refused with the name of that', async (t) => {
  const error = await t.throwsAsync(ScriptModule.load('densenet169', { weights: file('zip.pth') }), {
    code: 'ERR_WEIGHTS',
    message: /do not fit the architecture 'densenet169'.*They fit the architecture 'densenet121'/,
  })
  t.like((error as { details?: object }).details, { architecture: 'densenet121' })
})

test.serial('a pickle that needs more than tensors is refused by the name of what it needs', async (t) => {
  await t.throwsAsync(ScriptModule.load('densenet121', { weights: file('callback.ckpt') }), {
    code: 'ERR_MODEL_IS_EAGER_PICKLE',
    message: /needs '__main__\.Callback'/,
  })
  // The magic number, version and system that torch.save wrote first before PyTorch 1.6, and then the object.
  const before = Buffer.from('\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.', 'latin1')
  // pickle.dumps of an object whose __reduce__ returns (os.system, ('touch FILE',)).
  const out = join(temporaryFolder(t), 'touched')
  const hostile = Buffer.from(`\x80\x02cposix\nsystem\nX${'\0'.repeat(4)}\x85R.`, 'latin1')
  const command = `touch ${out}`
  const bytes = Buffer.concat([hostile.subarray(0, -6 + 0), Buffer.from(command), hostile.subarray(-3)])
  bytes.writeUInt32LE(command.length, bytes.indexOf('X') + 1)
  t.throws(() => readWeights(Buffer.concat([before, bytes])), {
    code: 'ERR_MODEL_IS_EAGER_PICKLE',
    message: /posix\.system/,
  })
  t.false(existsSync(out))
})

test('a pickle of more objects than any has is refused before it fills the memory', (t) => {
  const start = '\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02'
  for (const [what, part] of [
    ['objects', ']'.repeat(500_000)],
    ['objects', '}'.repeat(500_000)],
    ['objects', ')\x85'.repeat(500_000)],
    ['opcodes', 'N'.repeat(4_100_000)],
    ['opcodes', '('.repeat(4_100_000)],
    ['opcodes', `N${'q\0'.repeat(4_100_000)}`],
  ] as const)
    t.throws(() => readWeights(Buffer.from(start + part, 'latin1')), {
      code: 'ERR_MODEL_CORRUPT',
      message: new RegExp(`more than \\d+ ${what}`),
    })
})

test.serial('a file of weights without an architecture says what it holds and what fits', async (t) => {
  await t.throwsAsync(ScriptModule.load(file('zip.pth')), {
    code: 'ERR_MODEL_IS_STATE_DICT',
    message:
      /tensors with \d+ elements, features\.conv0\.weight \[64, 3, 7, 7\].*densenet\. They fit the architecture 'densenet121'/,
  })
  await t.throwsAsync(ScriptModule.load(file('unknown.pth')), {
    code: 'ERR_MODEL_IS_STATE_DICT',
    message: /4 tensors with 26 elements, 0\.weight \[4, 3\].*gradcam architectures/,
  })
})

test.serial('a file of weights that lies is refused with a code', async (t) => {
  const out = join(temporaryFolder(t), 'bad.safetensors')
  const header = (entry: object, data = 16): Buffer => {
    const text = Buffer.from(JSON.stringify({ w: entry }))
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(text.length))
    return Buffer.concat([length, text, Buffer.alloc(data)])
  }
  for (const bytes of [
    header({ dtype: 'F32', shape: [5], data_offsets: [0, 16] }),
    header({ dtype: 'F32', shape: [4], data_offsets: [0, 32] }),
    header({ dtype: 'F32', shape: [2 ** 40, 2 ** 40], data_offsets: [0, 16] }),
    header({ dtype: 'F32', shape: [-4], data_offsets: [0, 16] }),
    header({ dtype: 'F3', shape: [4], data_offsets: [0, 16] }),
    Buffer.from([255, 255, 255, 255, 255, 255, 255, 127, 0x7b, 0x7d]),
  ]) {
    writeFileSync(out, bytes)
    await t.throwsAsync(ScriptModule.load('densenet121', { weights: out }), { code: 'ERR_MODEL_CORRUPT' })
  }
  rmSync(out)
})

/** A file of safetensors with float32 tensors of one dimension. */
function safetensorsOf(tensors: Readonly<Record<string, readonly number[]>>): Buffer {
  let at = 0
  const entries = Object.entries(tensors).map(([name, values]) => {
    const entry = { dtype: 'F32', shape: [values.length], data_offsets: [at, (at += values.length * 4)] }
    return [name, entry]
  })
  const text = Buffer.from(JSON.stringify(Object.fromEntries(entries)))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, Buffer.from(Float32Array.from(Object.values(tensors).flat()).buffer)])
}

test('a tensor that modules share is found under any of its names, and has to be the same under all', (t) => {
  const tensor = { isParameter: true, dtype: 'float32' as const }
  const plan = {
    modules: ['', 'a', 'b', 'c'].map((path) => ({ path, typeName: 'Module' })),
    tensors: [
      { ...tensor, module: 1, name: 'table', sizes: [2], also: ['b.table', 'c.table'] },
      { ...tensor, module: 3, name: 'weight', sizes: [1] },
    ],
    children: [],
    methods: [],
    inputs: [],
    fixedBatch: null,
    unused: [],
  } as unknown as ArchitecturePlan
  const fit = (tensors: Readonly<Record<string, readonly number[]>>, prefix = '') =>
    fitWeights(
      findArchitecture('resnet18'),
      plan,
      readWeights(
        safetensorsOf(Object.fromEntries(Object.entries(tensors).map(([name, values]) => [prefix + name, values]))),
      ),
    )
  const rest = { 'c.weight': [5] }
  const same = { 'a.table': [1, 2], 'b.table': [1, 2], 'c.table': [1, 2] }
  for (const prefix of ['', 'module.']) {
    t.is(fit({ ...same, ...rest }, prefix).plan.tensors.length, 2)
    // As safetensors' own save_model writes it: under one name alone.
    for (const name of Object.keys(same)) {
      const fitted = fit({ [name]: [1, 2], ...rest }, prefix)
      t.is(fitted.prefix, prefix)
      t.deepEqual(fitted.plan.tensors[0]?.tensor.sizes, [2])
    }
    for (const different of [{ 'a.table': [1, 3] }, { 'b.table': [1, 3] }, { 'c.table': [0, 2] }])
      t.throws(() => fit({ ...same, ...different, ...rest }, prefix), {
        code: 'ERR_WEIGHTS',
        message: /One tensor in the architecture, but not in the weights: a\.table and b\.table and c\.table\./,
      })
    const error = t.throws<GradCamError>(() => fit(rest, prefix), { code: 'ERR_WEIGHTS' })
    t.deepEqual(error?.details, { missing: ['a.table'], unexpected: [], misshapen: [], unlike: [] })
    t.throws(() => fit({ ...same, ...rest, 'd.table': [1, 2] }, prefix), {
      message: /Not expected: (module\.)?d\.table/,
    })
  }
})

test('each architecture has a plan, and each of its published weights a preprocessing', (t) => {
  const all = architectures()
  t.true(all.length >= 2)
  t.is(imagenetLabels().length, 1000)
  t.is(imagenetLabels()[282], 'tiger cat')
  for (const { name, weights, classes } of all) {
    t.true(existsSync(architectureFile(name)), name)
    t.true(classes > 1)
    for (const { preprocess } of weights) t.notThrows(() => readPreprocess(preprocess), name)
  }
})

test.serial('explain runs on an architecture with weights; architectures lists it', (t) => {
  const listed = gradcam(['architectures'])
  t.is(listed.code, 0, listed.stderr)
  t.regex(listed.stdout, /densenet121 +7\.98M +any size +densenet121-a639ec97\.pth/)
  const out = temporaryFolder(t)
  const image = join(packageRoot, 'samples', 'cat_dog.png')
  const weights = ['--weights', file('parallel.ckpt')]
  const ended = gradcam(['explain', image, '--model', 'densenet121', ...weights, '--out', out, '--json'])
  t.is(ended.code, 0, ended.stderr)
  t.regex(ended.stderr, /found under 'state_dict' with names that begin with 'module\.'/)
  t.like(JSON.parse(ended.stdout.trim()), { layer: 'features', size: [224, 224] })
})

test.serial(
  'batch takes weights, prepares images as they were published, and resumes with the same ones alone',
  (t) => {
    const out = temporaryFolder(t)
    const image = join(packageRoot, 'samples', 'cat_dog.png')
    const batch = (weights: string, ...more: string[]) =>
      gradcam([
        'batch',
        image,
        '--model',
        'densenet121',
        '--weights',
        file(weights),
        '--out',
        out,
        '--write',
        'npy',
        ...more,
      ])
    const ended = batch('lightning.ckpt')
    t.is(ended.code, 0, ended.stderr)
    t.regex(ended.stderr, /found under 'state_dict' with names that begin with 'model\.'/)
    t.regex(ended.stdout + ended.stderr, /images as its weights were published/)
    const spec = JSON.parse(readFileSync(join(out, 'job.json'), 'utf8')) as JobSpec
    t.like(spec, { model: { path: file('lightning.ckpt'), architecture: 'densenet121' }, labels: null })
    t.like(spec.preprocess, { resize: 256, crop: [224, 224], resample: 'bilinear' })
    t.is(batch('lightning.ckpt', '--resume').code, 0)
    const changed = batch('zip.pth', '--resume')
    t.is(changed.code, 2)
    t.regex(changed.stderr, /model: .*lightning\.ckpt has changed/)
  },
)

test('an architecture of another weights file is another job', (t) => {
  const spec = { model: { path: 'a.pth', sha256: '0'.repeat(64), architecture: 'resnet18' } } as JobSpec
  const other = { ...spec, model: { ...spec.model, architecture: 'resnet34' } }
  t.throws(() => checkSameJob(spec, other), { code: 'ERR_JOB_CHANGED', message: /model\.architecture/ })
  t.notThrows(() => checkSameJob(spec, { ...spec, model: { ...spec.model, path: 'b.pth' } }))
})

test('a name of timm is found without its prefix, where torchvision has none of that name', (t) => {
  t.is(findArchitecture('efficientnet_lite0').name, 'timm:efficientnet_lite0')
  t.is(findArchitecture('resnet18').name, 'resnet18')
})

test('published weights are known by their file or their folder', (t) => {
  const published = (name: string, size: number) => ({
    file: name,
    preprocess: { resize: size, crop: [size, size] },
  })
  const weights = [published('net.a1_in1k', 224), published('net.in1k_384', 384), published('net-0123.pth', 512)]
  const architecture = { ...findArchitecture('resnet18'), weights }
  const sizeFor = (name: string | null) => (preprocessOf(architecture, name) as { resize: number }).resize
  t.is(sizeFor(null), 224)
  t.is(sizeFor('/models/net.in1k_384/model.safetensors'), 384)
  t.is(sizeFor('net.in1k_384.safetensors'), 384)
  t.is(sizeFor('/models/my-net-0123.pth'), 512)
  t.is(sizeFor('anything.pth'), 224)
})
