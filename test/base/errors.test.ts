import test, { type ExecutionContext } from 'ava'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  GradCam,
  GradCamError,
  GuidedBackprop,
  ScriptModule,
  Tensor,
  liveTensors,
  type GradCamErrorCode,
} from '../../lib/index.js'
import { heldTensors } from '../support/live-tensors.js'
import { smallNets } from '../support/models.js'
import { assertSame } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'

const nets = await smallNets()
const plain = nets.file('plain')

/**
 * Asserts that `refused` is refused with that code, in one line that a person can read, that it leaves no tensor behind,
 * and that the package works afterwards.
 */
async function refuses(
  t: ExecutionContext,
  refused: () => unknown,
  code: GradCamErrorCode,
  says: RegExp,
): Promise<void> {
  const before = await heldTensors()
  const error = await t.throwsAsync(async () => refused(), { name: 'GradCamError', code, message: says })
  t.true(liveTensors() <= before, 'no tensor is left behind')
  assertReadable(t, error?.message ?? '')
  using model = await ScriptModule.load(plain)
  using input = toTensor(nets.input('plain'))
  using output = await model.forward(input)
  assertSame(t, output, nets.output('plain'), 'the next call')
}

function assertReadable(t: ExecutionContext, message: string): void {
  t.false(message.includes('\n'), `one line: ${message}`)
  // Without the folder of the file, whose name is as long as it is.
  const { length } = message.replaceAll(/'\/[^']*\//g, "'")
  t.true(length > 20 && length < 500, `${length} characters: ${message}`)
  t.notRegex(message, /Exception raised from|frame #|C10_|\.cpp|\bat::|c10::|torch::jit::/, 'nothing of C++')
  t.regex(message, /[.)]$/, 'a whole sentence')
}

/** What each file of bad_files.py is, and the remedy that the message must name. */
const bad: Record<string, [GradCamErrorCode, RegExp]> = {
  'truncated.pt': ['ERR_MODEL_CORRUPT', /copy or export it again/],
  'cut_short.pt': ['ERR_MODEL_CORRUPT', /copy or export it again/],
  'bytes_flipped.pt': ['ERR_MODEL_CORRUPT', /copy or export it again/],
  'without_code.pt': ['ERR_MODEL_CORRUPT', /copy or export it again/],
  'no_forward.pt': ['ERR_MODEL_NO_FORWARD', /`forward`.*Export/],
  'empty.pt': ['ERR_MODEL_CORRUPT', /empty.*again/],
  'text.pt': ['ERR_MODEL_NOT_TORCHSCRIPT', /torch\.jit\.script/],
  'html.pt': ['ERR_MODEL_NOT_TORCHSCRIPT', /torch\.jit\.script/],
  'lfs_pointer.pt': ['ERR_MODEL_NOT_TORCHSCRIPT', /git lfs pull/],
  'model.safetensors': ['ERR_MODEL_NOT_TORCHSCRIPT', /safetensors.*torch\.jit\.script/],
  'model.onnx': ['ERR_MODEL_NOT_TORCHSCRIPT', /ONNX.*torch\.jit\.script/],
  'plain.zip': ['ERR_MODEL_NOT_TORCHSCRIPT', /zip.*torch\.jit\.script/],
  'state_dict.pt': ['ERR_MODEL_IS_STATE_DICT', /load_state_dict.*torch\.jit\.script/],
  'checkpoint.pt': ['ERR_MODEL_IS_STATE_DICT', /load_state_dict.*torch\.jit\.script/],
  'legacy_state_dict.pt': ['ERR_MODEL_IS_STATE_DICT', /load_state_dict.*torch\.jit\.script/],
  'tensor.pt': ['ERR_MODEL_IS_STATE_DICT', /torch\.jit\.script/],
  'eager_module.pt': ['ERR_MODEL_IS_EAGER_PICKLE', /nets Plain.*torch\.jit\.script/],
  'legacy_eager_module.pt': ['ERR_MODEL_IS_EAGER_PICKLE', /nets Plain.*torch\.jit\.script/],
}

test.serial('what the addon refuses carries its remedy as data, which ends the message', async (t) => {
  using model = await ScriptModule.load(plain)
  using input = toTensor(nets.input('plain'))
  using gradCam = new GradCam(model, ['features'])
  for (const [what, remedy] of [
    [() => ScriptModule.load(tmpdir()), 'Give the path of a TorchScript file (.pt).'],
    [
      () => gradCam.explain(input, { target: [0, 0, 0, 0, 0] }),
      'Give one class for all of them, or exactly one per image.',
    ],
    [() => ScriptModule.load(plain, { device: 'tpu' }), "Use 'cpu', 'cuda', 'cuda:N' or 'auto'."],
  ] as const) {
    const error = await t.throwsAsync(async () => what(), { instanceOf: GradCamError })
    t.is(error?.remedy, remedy)
    t.is(error?.message, `${error?.problem} ${remedy}`)
  }
})

test('every bad file that Python wrote is tried here', (t) => {
  // A file of torch.export is a model.
  const names = nets.badNames().filter((name) => name !== 'exported_program.pt2')
  t.deepEqual(Object.keys(bad).sort(), names.sort())
})

test.serial('a file of torch.export is a model', async (t) => {
  using model = await ScriptModule.load(nets.bad('exported_program.pt2'))
  t.true(model.namedModules().some(({ path }) => path === 'features'))
})

for (const [name, [code, says]] of Object.entries(bad)) {
  const file = nets.bad(name)
  test.serial(`${name} is refused as ${code}`, async (t) => {
    await refuses(t, () => ScriptModule.load(file), code, says)
    const error = await t.throwsAsync(ScriptModule.load(file))
    t.true(error?.message.includes(file), 'it names the file')
  })

  test.serial(`${name} as a Buffer is refused as ${code}`, async (t) => {
    await refuses(t, () => ScriptModule.load(readFileSync(file)), code, says)
  })
}

test.serial('files that cannot be opened', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gradcam-errors-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const missing = join(folder, 'models', 'none.pt')
  await refuses(t, () => ScriptModule.load(missing), 'ERR_FILE_NOT_FOUND', /none\.pt' does not exist\. Check the path/)
  await refuses(t, () => ScriptModule.load(pathToFileURL(missing)), 'ERR_FILE_NOT_FOUND', /none\.pt/)
  await refuses(t, () => ScriptModule.load(join(plain, 'x')), 'ERR_FILE_NOT_FOUND', /does not exist/)
  await refuses(t, () => ScriptModule.load(''), 'ERR_FILE_NOT_FOUND', /empty/)
  await refuses(t, () => ScriptModule.load(folder), 'ERR_FILE_UNREADABLE', /is a folder\. Give the path/)
  // Permissions stop everybody but root; a link to itself stops everybody.
  symlinkSync('loop.pt', join(folder, 'loop.pt'))
  await refuses(t, () => ScriptModule.load(join(folder, 'loop.pt')), 'ERR_FILE_UNREADABLE', /cannot be opened: .*links/)
})

test.serial('things that are not models, and devices that are not there', async (t) => {
  for (const source of [42, null, undefined, {}, [], new ArrayBuffer(8), () => {}])
    await refuses(t, () => ScriptModule.load(source as never), 'ERR_INVALID_ARGUMENT', /path/)
  await refuses(t, () => ScriptModule.load(plain, { device: 'gpu' }), 'ERR_DEVICE', /'cpu', 'cuda'/)
  await refuses(t, () => ScriptModule.load(plain, { device: 'cuda:99' }), 'ERR_DEVICE', /cuda:99/)
})

test.serial('layers', async (t) => {
  using model = await ScriptModule.load(plain)
  const cam = (...layers: unknown[]) => new GradCam(model, layers as string[])
  await refuses(t, () => cam('feature'), 'ERR_LAYER_NOT_FOUND', /no layer 'feature'.*Nearest: 'features'/)
  await refuses(t, () => cam('features', 'fetures.2'), 'ERR_LAYER_NOT_FOUND', /'fetures\.2'.*Nearest: 'features\.2'/)
  await refuses(t, () => cam(''.padEnd(300, 'x')), 'ERR_LAYER_NOT_FOUND', /namedModules/)
  await refuses(t, () => cam(), 'ERR_INVALID_ARGUMENT', /`layers` must be an array of at least one/)
  await refuses(t, () => new GradCam(model, 'features' as never), 'ERR_INVALID_ARGUMENT', /array/)
  await refuses(t, () => cam(7), 'ERR_INVALID_ARGUMENT', /string/)
  await refuses(t, () => model.checkLayer('feature'), 'ERR_LAYER_NOT_FOUND', /Nearest/)
  await refuses(t, () => new GuidedBackprop(model, { scope: 'none' as never }), 'ERR_INVALID_ARGUMENT', /'modules'/)
})

test.serial('a layer that the pass does not reach, or that returns no map', async (t) => {
  using model = await ScriptModule.load(nets.file('other_method'))
  using input = toTensor(nets.input('other_method'))
  for (const layer of ['idle', 'coder']) {
    using gradCam = new GradCam(model, [layer])
    using _logits = await gradCam.forward(input)
    await refuses(t, () => gradCam.backward(0), 'ERR_LAYER_NOT_REACHED', /Pick a layer/)
    await refuses(t, () => gradCam.explain(input), 'ERR_LAYER_NOT_REACHED', /Pick a layer/)
  }
  using flat = new GradCam(model, ['head'])
  await refuses(t, () => flat.explain(input), 'ERR_LAYER_OUTPUT', /spatial.*Pick a layer/)
  using structures = await ScriptModule.load(nets.file('inner_structures'))
  using tuple = new GradCam(structures, ['join'])
  await refuses(
    t,
    () => tuple.explain(input),
    'ERR_LAYER_OUTPUT',
    /Tuple of several tensors: 0 \[2, 6, 16, 20\].*`part`/,
  )
})

test.serial('asking too early', async (t) => {
  using model = await ScriptModule.load(plain)
  using input = toTensor(nets.input('plain'))
  using gradCam = new GradCam(model, ['features'])
  using guided = new GuidedBackprop(model)
  await refuses(t, () => gradCam.backward(0), 'ERR_NO_FORWARD', /call forward/)
  await refuses(t, () => gradCam.backward((logits) => logits.sum()), 'ERR_NO_FORWARD', /call forward/)
  await refuses(t, () => gradCam.get('features'), 'ERR_NO_BACKWARD', /call backward/)
  await refuses(t, () => guided.intercepted, 'ERR_NO_FORWARD', /call forward/)
  using _logits = await gradCam.forward(input)
  using _more = await guided.forward(input)
  for (const ask of [gradCam.get, gradCam.activation, gradCam.gradient])
    await refuses(t, () => ask.call(gradCam, 'features'), 'ERR_NO_BACKWARD', /call backward/)
  await refuses(t, () => guided.get(), 'ERR_NO_BACKWARD', /call backward/)
  await gradCam.backward(0)
  await refuses(t, () => gradCam.get('head'), 'ERR_LAYER_NOT_FOUND', /'features'/)
  using _again = await gradCam.forward(input)
  await refuses(t, () => gradCam.get('features'), 'ERR_NO_BACKWARD', /call backward/)
})

test.serial('after a forward that failed there is nothing to explain, not even of the one before', async (t) => {
  using model = await ScriptModule.load(plain)
  using input = toTensor(nets.input('plain'))
  using wrong = Tensor.zeros([2, 4, 16, 20])
  using gradCam = new GradCam(model, ['features'])
  using _logits = await gradCam.forward(input)
  await refuses(t, () => gradCam.forward(wrong), 'ERR_CHANNELS', /takes 3 channels.* has 4/)
  await refuses(t, () => gradCam.backward(0), 'ERR_NO_FORWARD', /call/)
  using _more = await gradCam.forward(input)
  await t.throwsAsync(gradCam.forward(input, { signal: AbortSignal.abort() }), { any: true, name: 'AbortError' })
  await refuses(t, () => gradCam.backward(0), 'ERR_NO_FORWARD', /call/)
  using _last = await gradCam.forward(input)
  await t.notThrowsAsync(gradCam.backward(0))
})

test.serial('targets that do not fit', async (t) => {
  using model = await ScriptModule.load(plain)
  using input = toTensor(nets.input('plain'))
  using gradCam = new GradCam(model, ['features'])
  using _logits = await gradCam.forward(input)
  const cases: [unknown, GradCamErrorCode, RegExp][] = [
    [5, 'ERR_TARGET_OUT_OF_RANGE', /Class 5 does not exist.*5 classes, numbered from 0 to 4/],
    [-1, 'ERR_TARGET_OUT_OF_RANGE', /Class -1 does not exist/],
    [[0, 5], 'ERR_TARGET_OUT_OF_RANGE', /Class 5 does not exist/],
    [[0, 1, 2], 'ERR_TARGET_COUNT', /3 targets.*batch of 2/],
    [[], 'ERR_TARGET', /is not a valid target/],
    [1.5, 'ERR_TARGET', /is not a valid target/],
    [NaN, 'ERR_TARGET', /is not a valid target/],
    ['cat', 'ERR_TARGET', /is not a valid target/],
    [null, 'ERR_TARGET', /is not a valid target/],
    [{}, 'ERR_TARGET', /is not a valid target/],
    [[0, 'x'], 'ERR_TARGET', /is not a valid target/],
    [() => 1, 'ERR_TARGET', /scalar Tensor/],
    [() => undefined, 'ERR_TARGET', /scalar Tensor/],
    [async (logits: Tensor) => logits.sum(), 'ERR_TARGET', /synchronously/],
    [(logits: Tensor) => logits, 'ERR_TARGET', /one number/],
    [() => Tensor.ones([]), 'ERR_NO_GRADIENT', /does not depend/],
    [(logits: Tensor) => logits.detach().sum(), 'ERR_NO_GRADIENT', /does not depend/],
  ]
  for (const [target, code, says] of cases) {
    await refuses(t, () => gradCam.backward(target as never), code, says)
    await refuses(t, () => gradCam.explain(input, { target: target as never }), code, says)
  }
  const mine = new Error('mine')
  const throwing = () => {
    throw mine
  }
  const before = await heldTensors()
  t.is(await t.throwsAsync(gradCam.backward(throwing)), mine)
  t.is(await t.throwsAsync(gradCam.explain(input, { target: throwing })), mine)
  t.is(liveTensors(), before)
  await t.notThrowsAsync(gradCam.backward([0, 1]))
})

test.serial('fewer targets than images', async (t) => {
  using model = await ScriptModule.load(plain)
  using two = toTensor(nets.input('plain'))
  using three = Tensor.cat([two, two.slice(0, 0, 1)])
  using gradCam = new GradCam(model, ['features'])
  await refuses(t, () => gradCam.explain(three, { target: [0, 1] }), 'ERR_TARGET_COUNT', /2 targets.*3 images.*one per/)
})

test.serial('outputs of which no class can be explained', async (t) => {
  const explain = async (net: string, layer: string, target?: never) => {
    using model = await ScriptModule.load(nets.file(net))
    using input = toTensor(nets.input(net))
    using gradCam = new GradCam(model, [layer])
    return await gradCam.explain(input, { target })
  }
  await refuses(t, () => explain('segmentation', 'features'), 'ERR_TARGET', /\[2, 5, 16, 20\].*function/)
  using dict = await explain('dict_output', 'features')
  t.deepEqual(dict.of, ['out'], 'a part of that name is taken, and said')
  using tuple = await explain('tuple_output', 'features')
  t.deepEqual(tuple.of, [0], 'so is the only one of shape [N, C]')
  await refuses(t, () => explain('class_index', 'features'), 'ERR_TARGET', /decisions/)
  await refuses(t, () => explain('detached', 'features'), 'ERR_NO_GRADIENT', /does not depend/)
})

test.serial('no ReLU for guided backprop', async (t) => {
  using none = await ScriptModule.load(nets.file('relu_free'))
  using input = toTensor(nets.input('relu_free'))
  using guided = new GuidedBackprop(none)
  await refuses(t, () => guided.explain(input), 'ERR_NO_RELU', /no ReLU/)
  using functional = await ScriptModule.load(nets.file('functional_relu_only'))
  using modules = new GuidedBackprop(functional, { scope: 'modules' })
  await refuses(t, () => modules.explain(input), 'ERR_NO_RELU', /scope 'all'/)
})

test.serial('closed explainers and disposed models and tensors', async (t) => {
  const model = await ScriptModule.load(plain)
  const input = toTensor(nets.input('plain'))
  const gradCam = new GradCam(model, ['features'])
  ;(await gradCam.forward(input)).dispose()
  await gradCam.backward(0)
  gradCam.close()
  gradCam.dispose()
  for (const ask of [
    () => gradCam.forward(input),
    () => gradCam.backward(0),
    () => gradCam.get('features'),
    () => gradCam.explain(input),
  ])
    await refuses(t, ask, 'ERR_CLOSED', /closed\. Make a new one/)
  const other = new GradCam(model, ['features'])
  model.dispose()
  model.dispose()
  const asks = [() => model.forward(input), () => model.namedModules(), () => new GradCam(model, ['features'])]
  for (const ask of [...asks, () => other.explain(input)]) await refuses(t, ask, 'ERR_DISPOSED', /Load it again/)
  input.dispose()
  using again = await ScriptModule.load(plain)
  using last = new GradCam(again, ['features'])
  for (const ask of [() => again.forward(input), () => last.explain(input), () => last.forward(input)])
    await refuses(t, ask, 'ERR_DISPOSED', /Tensor was disposed/)
})

test.serial('a frozen module has no layers, and says why', async (t) => {
  using model = await ScriptModule.load(nets.variant('frozen'))
  using input = toTensor(nets.input('plain'))
  await refuses(t, () => new GradCam(model, ['features']), 'ERR_MODEL_FROZEN', /torch\.jit\.freeze.*Save it without/)
  await refuses(t, () => model.registerForwardHook('features', () => {}), 'ERR_MODEL_FROZEN', /Save it without/)
  using output = await model.forward(input)
  assertSame(t, output, nets.output('plain'), 'it can still be run')
})

test.serial('what optimize_for_inference leaves cannot be loaded, not by PyTorch either, and says why', async (t) => {
  const optimized = nets.variant('optimized')
  await refuses(t, () => ScriptModule.load(optimized), 'ERR_MODEL_FROZEN', /optimize_for_inference.*Save it without/)
})

test.serial('inputs that do not fit the model', async (t) => {
  using model = await ScriptModule.load(plain)
  using input = toTensor(nets.input('plain'))
  using channels = Tensor.zeros([1, 4, 16, 20])
  using integers = Tensor.zeros([1, 3, 16, 20], { dtype: 'int64' })
  using gradCam = new GradCam(model, ['features'])
  for (const run of [model, gradCam]) {
    await refuses(t, () => run.forward([]), 'ERR_INVALID_ARGUMENT', /'x'.*missing/)
    await refuses(t, () => run.forward([input, input]), 'ERR_INVALID_ARGUMENT', /takes 1 inputs, but 2/)
    // Of inputs by name.
    await refuses(t, () => run.forward({} as never), 'ERR_INVALID_ARGUMENT', /'x' \(Tensor\) is missing/)
    for (const value of [1, 'x', null, true, [[input]]])
      await refuses(t, () => run.forward(value as never), 'ERR_INVALID_ARGUMENT', /must be a Tensor/)
    await refuses(t, () => run.forward(channels), 'ERR_CHANNELS', /takes 3 channels.* has 4/)
    await refuses(t, () => run.forward(integers), 'ERR_DTYPE', /float32, but its input .* is int64/)
  }
  using guided = new GuidedBackprop(model)
  await refuses(t, () => guided.forward(integers), 'ERR_INVALID_ARGUMENT', /floating-point/)
})
