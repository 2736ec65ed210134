import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32, deflateRawSync, gunzipSync } from 'node:zlib'
import test from 'ava'
import { convertModel, GradCam, ScriptModule, Tensor } from '../../lib/index.js'
import { openBytes } from '../../lib/archive/byte-source.js'
import { Zip } from '../../lib/archive/zip.js'
import { packageRoot } from '../../lib/base/paths.js'
import { exportedPrograms } from '../support/exported.js'
import { needing } from '../support/needs.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { assertSame } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'

const programs = await exportedPrograms()
const run = needing('packages', programs, test.serial)

for (const [name, message] of Object.entries({
  training: /training mode \(batch_norm at 'part'\).*model\.eval\(\)/,
  quantized: /quantized_decomposed::quantize_per_tensor at 'part'.*before it is quantized/,
  compiled: /AOTInductor.*torch\.export\.save/,
}))
  run(`${name}: refused by name, with what to do`, async (t) => {
    await t.throwsAsync(ScriptModule.load(programs!.refused(name)), { code: 'ERR_MODEL_UNSUPPORTED', message })
  })

// Really written by torchao's pt2e and by AOTInductor: scripts/exported/write_refused.py.
for (const [name, message] of Object.entries({
  quantized: /is quantized \(quantized_decomposed::\w+ at '.*'\).*before it is quantized/,
  compiled: /AOTInductor.*torch\.export\.save/,
}))
  test(`a file that is ${name}, as it was really written, is refused by name`, async (t) => {
    const file = join(packageRoot, 'test', 'exported', 'files', `refused.${name}.pt2.gz`)
    const bytes = gunzipSync(readFileSync(file))
    await t.throwsAsync(ScriptModule.load(bytes), { code: 'ERR_MODEL_UNSUPPORTED', message })
  })

test('a graph that is compressed is refused before it is unpacked: a thousandth of it may be all that there is', async (t) => {
  const name = Buffer.from('models/model.json')
  const text = Buffer.alloc(2 ** 27, '[')
  const data = deflateRawSync(text)
  const facts = Buffer.alloc(26)
  facts.writeUInt16LE(20, 0)
  facts.writeUInt16LE(8, 4)
  facts.writeUInt32LE(crc32(text), 10)
  facts.writeUInt32LE(data.length, 14)
  facts.writeUInt32LE(text.length, 18)
  facts.writeUInt16LE(name.length, 22)
  const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), facts, name, data])
  const central = Buffer.concat([Buffer.from('PK\x01\x02\0\0', 'latin1'), facts, Buffer.alloc(14), name])
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 0, 'latin1')
  end.writeUInt16LE(1, 8)
  end.writeUInt16LE(1, 10)
  end.writeUInt32LE(central.length, 12)
  end.writeUInt32LE(local.length, 16)
  const error = { code: 'ERR_MODEL_CORRUPT', message: /is compressed, which PyTorch's files are not/ }
  await t.throwsAsync(ScriptModule.load(Buffer.concat([local, central, end])), error)
})

run('what the export fixed is checked before the model runs', async (t) => {
  using model = await ScriptModule.load(programs!.file('plain', 'dynamic'))
  const [input] = model.inputs!
  t.deepEqual(input, { name: 'x', dtype: 'float32', shape: [{ min: 0, max: 64 }, 3, 16, 20] })
  const refused = async (
    shape: readonly number[],
    code: string,
    message: RegExp,
    dtype: 'float32' | 'float64' = 'float32',
  ) => {
    using x = Tensor.zeros(shape, { dtype })
    await t.throwsAsync(model.forward(x), { code, message })
  }
  await refused(
    [1, 3, 16, 24],
    'ERR_SHAPE',
    /'x' takes float32 \[0\.\.64, 3, 16, 20\], but was given float32 \[1, 3, 16, 24\]/,
  )
  await refused([65, 3, 16, 20], 'ERR_SHAPE', /dynamic_shapes/)
  await refused(
    [3, 16, 20],
    'ERR_SHAPE',
    /but was given float32 \[3, 16, 20\]\. Give 4 dimensions instead of 3: .*unsqueeze/,
  )
  await refused([1, 3, 16, 20], 'ERR_DTYPE', /but was given float64/, 'float64')
  using x = Tensor.zeros([1, 3, 16, 20])
  await t.throwsAsync(model.forward([x, x]), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /takes 1 input, 'x' \(float32 \[0\.\.64, 3, 16, 20\]\), but 2 were given/,
  })
})

run(
  'inputs that do not fit each other, or are too few or too many, are refused with what the file takes',
  async (t) => {
    const { file, input, output } = programs!.program('pair')
    using model = await ScriptModule.load(file)
    using image = toTensor(input)
    using depth = image.slice(1, 0, 1)
    using found = await model.forward({ image, depth })
    assertSame(t, found, output, 'output')
    using fewer = depth.slice(0, 0, 2)
    await t.throwsAsync(model.forward([image, fewer]), {
      code: 'ERR_SHAPE',
      message:
        /'depth' takes float32 \[any, 1, 8, 8\], but was given float32 \[2, 1, 8, 8\]\. Give as many images as 'image' has, 5\./,
    })
    const both = /takes 2 inputs, 'image' \(float32 \[any, 3, 8, 8\]\), 'depth' \(float32 \[any, 1, 8, 8\]\), but/
    for (const given of [[image], { image }, { depth }, [], [image, depth, depth]])
      await t.throwsAsync(model.forward(given), { code: 'ERR_INVALID_ARGUMENT', message: both })
    using cam = new GradCam(model, ['colour'])
    await t.throwsAsync(cam.explain(image, { target: 1 }), { code: 'ERR_INVALID_ARGUMENT', message: both })
    // The tree of layers is shown all the same, without shapes.
    const listed = gradcam(['layers', file])
    t.regex(listed.stdout, /colour +Conv2d/, listed.stderr)
  },
)

// The larger one is translated in a thread of its own.
for (const net of ['plain', 'densenet121_double'])
  run(`${net}: the bytes of a file are as good as its path`, async (t) => {
    const file = programs!.file(net, 'static')
    using input = toTensor(programs!.reference.input(net))
    using one = await ScriptModule.load(file)
    using other = await ScriptModule.load(readFileSync(file))
    using expected = await one.forward(input)
    using found = await other.forward(input)
    t.deepEqual(found.toTypedArray(), expected.toTypedArray())
    t.deepEqual(other.inputs, one.inputs)
    t.deepEqual(other.namedModules(), one.namedModules())
  })

run('a large program: what is wrong with it and a stop arrive from the thread that translates it', async (t) => {
  const file = programs!.file('densenet121_double', 'static')
  const bytes = tampered(file, /models\/.*json$/, 'torch.ops.aten.conv2d.default', 'torch.ops.aten.from_file.long')
  await t.throwsAsync(ScriptModule.load(bytes), { code: 'ERR_MODEL_UNSUPPORTED', message: /aten::from_file/ })
  const reason = new Error('not any more')
  const stop = new AbortController()
  const loading = ScriptModule.load(file, { signal: stop.signal })
  stop.abort(reason)
  t.is(await t.throwsAsync(loading), reason)
})

run('convert writes a TorchScript file that says the same, and no other', async (t) => {
  const out = join(temporaryFolder(t), 'model.pt')
  const ended = gradcam(['convert', programs!.file('plain', 'dynamic'), out])
  t.is(ended.code, 0, ended.stderr)
  using input = toTensor(programs!.reference.input('plain'))
  using exported = await ScriptModule.load(programs!.file('plain', 'dynamic'))
  using converted = await ScriptModule.load(out)
  t.is(converted.inputs, null)
  t.deepEqual(converted.namedModules(), exported.namedModules())
  using expected = await exported.forward(input)
  using found = await converted.forward(input)
  t.deepEqual(found.toTypedArray(), expected.toTypedArray())
  await t.throwsAsync(convertModel(out, join(temporaryFolder(t), 'again.pt')), { code: 'ERR_INVALID_ARGUMENT' })
})

/** A copy of a program with one text of its archive replaced by another of the same length. */
function tampered(file: string, record: RegExp, from: string, to: string): Buffer {
  const bytes = Buffer.from(readFileSync(file))
  using source = openBytes(bytes)
  const zip = new Zip({ source, position: 0, length: bytes.length })
  const name = zip.names.find((each) => record.test(each))!
  const { position, length } = zip.record(name)
  const at = bytes.indexOf(from, position)
  if (at < 0 || at > position + length || from.length !== to.length) throw new Error(`'${from}' is not in ${name}`)
  bytes.write(to, at, 'latin1')
  const checksum = crc32(bytes.subarray(position, position + length))
  const before = Buffer.alloc(4)
  before.writeUInt32LE(zip.record(name).crc32!)
  for (let place = bytes.indexOf(before); place >= 0; place = bytes.indexOf(before, place + 4))
    bytes.writeUInt32LE(checksum, place)
  return bytes
}

for (const [what, record, from, to] of [
  ['sizes beyond the storage', /weights_config/, '"as_int": 6}', '"as_int": 9}'],
  ['a negative stride', /weights_config/, '"strides": [{"as_int": 27', '"strides": [{"as_int": -7'],
  ['another dtype', /weights_config/, '"dtype": 7', '"dtype": 8'],
  ['a dtype that is not known', /weights_config/, '"dtype": 7', '"dtype":77'],
  [
    'an operator that reaches files',
    /models\/.*json$/,
    'torch.ops.aten.conv2d.default',
    'torch.ops.aten.from_file.long',
  ],
  [
    'a value that is never made',
    /models\/.*json$/,
    '"input", "arg": {"as_tensor": {"name": "x"}',
    '"input", "arg": {"as_tensor": {"name": "y"}',
  ],
  ['a record that is missing', /weights_config/, '"path_name": "weight_0"', '"path_name": "weight_Z"'],
] as const)
  run(`a program that lies is refused with a code: ${what}`, async (t) => {
    const bytes = tampered(programs!.file('plain', 'static'), record, from, to)
    const error = await t.throwsAsync(ScriptModule.load(bytes))
    t.regex((error as { code?: string }).code ?? String(error), /^ERR_MODEL_(?:CORRUPT|UNSUPPORTED)$/)
  })

run('a weight whose bytes changed is refused by its checksum', async (t) => {
  const file = programs!.file('plain', 'static')
  const bytes = Buffer.from(readFileSync(file))
  using source = openBytes(bytes)
  const { position } = new Zip({ source, position: 0, length: bytes.length }).record(
    new Zip({ source, position: 0, length: bytes.length }).names.find((name) => name.endsWith('weight_0'))!,
  )
  bytes[position + 5]! ^= 0xff
  const out = join(temporaryFolder(t), 'flipped.pt2')
  writeFileSync(out, bytes)
  for (const from of [bytes, out])
    await t.throwsAsync(ScriptModule.load(from), { code: 'ERR_MODEL_CORRUPT', message: /checksum/ })
})
