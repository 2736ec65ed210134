import test from 'ava'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { GradCamError, ScriptModule, Tensor, type LoadOptions } from '../../lib/index.js'
import { refusedAmong, refusedInSource } from '../../lib/model-file/refused-operators.js'
import { harmfulModels } from '../support/harmful.js'
import { smallNets } from '../support/models.js'
import { toTensor } from '../support/to-tensor.js'
import { gradcam } from '../support/package-copy.js'
import { workplace } from '../support/workplace.js'

const models = await harmfulModels()
const nets = await smallNets()

const untrusted: LoadOptions = { trust: 'untrusted', trial: { shape: [1, 3, 16, 16], seconds: 30 } }

for (const [name, message] of Object.entries({
  ReadsFile: /it calls aten::from_file/,
  SavesFile: /it calls aten::save/,
  SavesByAttribute: /it calls aten::save/,
  SavesByGetattr: /it calls aten::save/,
  WritesAtLoad: /it calls aten::from_file/,
}))
  test(`an operator that reaches files is refused before anything runs: ${name}`, async (t) => {
    for (const source of [models.file(name), readFileSync(models.file(name))])
      await t.throwsAsync(ScriptModule.load(source, untrusted), { code: 'ERR_MODEL_UNTRUSTED', message })
    t.false(existsSync('/nowhere'))
  })

test('operators are found in the graph, whatever the source looks like', async (t) => {
  using model = await ScriptModule.load(models.file('ReadsFile'))
  const operators = model.handle.operators()
  t.true(operators.includes('aten::from_file'))
  t.true(operators.includes('aten::conv2d'))
  t.deepEqual(refusedAmong(operators), ['aten::from_file'])
})

test('names that only look like those of operators are not refused', (t) => {
  const inSource = (text: string) => refusedInSource([{ name: 'a.py', text }])
  t.deepEqual(inSource('x = "from_file"\nsaved = self.saved\nsave = 3\nfrom_file_list = 2\n'), [])
  t.deepEqual(inSource('y = torch . save (x)\n'), ['aten::save'])
  t.deepEqual(inSource('y = "/etc/passwd".from_file(True, 3)\n'), ['aten::from_file'])
  t.deepEqual(inSource('y = ops.c10d.allreduce_(x)\n'), ['c10d::allreduce_'])
  t.deepEqual(inSource('y = ops.quantized.linear(x)\n'), [])
})

test('a model whose trial takes too long is refused', async (t) => {
  for (const name of ['LoopsAtLoad', 'LoopsWithoutOperators']) {
    const loading = ScriptModule.load(models.file(name), { ...untrusted, trial: { shape: [1, 3, 8, 8], seconds: 8 } })
    await t.throwsAsync(loading, { code: 'ERR_MODEL_UNTRUSTED', message: /its trial took longer than 8 s\./ })
  }
})

test('a model whose trial takes too much memory is refused', async (t) => {
  const loading = ScriptModule.load(models.file('TakesMemory'), {
    ...untrusted,
    trial: { shape: [1, 3, 8, 8], memory: 2 ** 30 },
  })
  await t.throwsAsync(loading, { code: 'ERR_MODEL_UNTRUSTED', message: /more memory than the trial may/ })
})

test('a signal ends a trial', async (t) => {
  const began = performance.now()
  const loading = ScriptModule.load(models.file('LoopsAtLoad'), { ...untrusted, signal: AbortSignal.timeout(3000) })
  const reason: unknown = await loading.catch((error: unknown) => error)
  t.is((reason as Error).name, 'TimeoutError')
  t.true(performance.now() - began < 10_000)
})

test('an untrusted model that does no harm gives what it gives in Python', async (t) => {
  for (const net of ['plain', 'control_flow']) {
    using model = await ScriptModule.load(nets.file(net), untrusted)
    using input = toTensor(nets.input(net))
    using output = await model.forward(input)
    const expected = nets.output(net).data
    ;(output.toTypedArray() as Float32Array).forEach((value, i) => {
      t.true(Math.abs(value - Number(expected[i])) <= 1e-5 * Math.max(1, Math.abs(Number(expected[i]))))
    })
  }
})

test('a model is not refused because its input has another shape', async (t) => {
  using model = await ScriptModule.load(models.file('HasOwnSave'), { ...untrusted, trial: { shape: [7] } })
  using output = await model.forward(Tensor.ones([1, 3, 8, 8]))
  t.deepEqual(output.shape, [1, 3])
})

test('files that are not models are refused for what they are', async (t) => {
  for (const [file, code] of [
    [nets.bad('state_dict.pt'), 'ERR_MODEL_IS_STATE_DICT'],
    [nets.bad('text.pt'), 'ERR_MODEL_NOT_TORCHSCRIPT'],
    [nets.bad('truncated.pt'), 'ERR_MODEL_CORRUPT'],
    [models.lie('short record'), 'ERR_MODEL_CORRUPT'],
    ['/nowhere/model.pt', 'ERR_FILE_NOT_FOUND'],
  ] as const) {
    const error = await t.throwsAsync(ScriptModule.load(file, untrusted), { instanceOf: GradCamError, code })
    t.regex(error?.message, new RegExp(`^'${file}'`))
  }
})

test('options are checked first', async (t) => {
  for (const options of [
    { trust: 'maybe' },
    { trial: { shape: [0] } },
    { trial: { seconds: 0 } },
    { trial: { memory: -1 } },
    { trial: 7 },
  ])
    await t.throwsAsync(ScriptModule.load('/nowhere', options as never), { code: 'ERR_INVALID_ARGUMENT' })
})

test('no operator that the small nets call is refused', async (t) => {
  for (const name of nets.names('scripted')) {
    using model = await ScriptModule.load(nets.file(name))
    t.deepEqual(refusedAmong(model.handle.operators()), [], name)
  }
})

test('gradcam layers --untrusted refuses and accepts', (t) => {
  const refused = gradcam(['layers', models.file('ReadsFile'), '--untrusted'])
  t.is(refused.code, 1)
  t.regex(refused.stderr, /^gradcam: The model is refused as untrusted: it calls aten::from_file\. /)
  const accepted = gradcam(['layers', models.file('Plain'), '--untrusted', '--size', '16x16'])
  t.is(accepted.code, 0, accepted.stderr)
  t.regex(accepted.stdout, /late/)
})

test('gradcam batch --untrusted refuses, and leaves nothing', async (t) => {
  const { folder, batch } = await workplace(t, ['a.jpg'])
  const refused = batch(['in', '--model', models.file('SavesFile'), '--layer', 'conv', '--out', 'out', '--untrusted'])
  t.is(refused.code, 1)
  t.regex(refused.stderr, /The model is refused as untrusted: it calls aten::save\./)
  t.false(existsSync(join(folder, 'out')))
  t.is(batch(['in', '--model', models.file('Plain'), '--layer', 'conv', '--out', 'other', '--untrusted']).code, 0)
})
