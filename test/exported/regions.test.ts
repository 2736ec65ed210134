// Regions of exported programs: torch.autocast and torch.no_grad run as in eager PyTorch, control flow is refused by name.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import {
  Cam,
  explainAll,
  GradCam,
  InputAttribution,
  InputPerturbation,
  modelNotes,
  ScriptModule,
  Tensor,
  type GradCamError,
  type Target,
} from '../../lib/index.js'
import { cachedFolder } from '../support/cached-folder.js'
import { assertParity, assertSame } from '../support/parity.js'
import { programsHash, runPython, testPython } from '../support/python.js'
import { readTensor, type StoredTensor } from '../support/stored-tensor.js'
import { toTensor } from '../support/to-tensor.js'

interface Facts {
  readonly input: StoredTensor
  readonly programs: Readonly<
    Record<string, Record<'output' | 'gradient' | 'cam', StoredTensor> & { layer: string; dtype: string }>
  >
  readonly refused: readonly string[]
}

const python = await testPython()
const folder = await cachedFolder(
  'region-programs',
  [programsHash('region_programs.py'), python.identity],
  async (partial) => {
    await runPython(python, 'region_programs.py', [partial])
  },
)
const { input, programs, refused } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Facts

/**
 * bfloat16 holds 8 bits of a number: where a convolution adds in another order, as in a split or on another processor, one of them is
 * another now and then, 2^-8 of a value, and a few such are passed on. Hooked and with the same kernels, all of this is exact.
 */
const rounding = 2 ** -6

for (const [name, said] of Object.entries(programs))
  for (const kind of ['', '.static'])
    test.serial(`${name}${kind}: output, gradient and map are those of eager PyTorch`, async (t) => {
      using model = await ScriptModule.load(join(folder, `${name}${kind}.pt2`))
      using x = toTensor(readTensor(folder, input))
      const dtypes: string[] = []
      using _hook = model.registerForwardHook(said.layer, (_module, _inputs, output) => {
        dtypes.push((output as Tensor).dtype)
        return undefined
      })
      using y = await model.forward(x)
      _hook.remove()
      t.deepEqual(dtypes, [said.dtype], 'what the layer returns')
      assertSame(t, y, readTensor(folder, said.output), 'output', rounding)
      const target: Target = (scores: Tensor) => scores.select(1, 1).sum()
      for (const execution of ['auto', 'hooked'] as const) {
        using cam = new GradCam(model, [said.layer], { execution })
        using found = await cam.explain(x, { target })
        assertParity(t, found.get(said.layer), readTensor(folder, said.cam), `map, ${execution}`, rounding)
      }
      using attribution = new InputAttribution(model, { method: 'gradient' })
      using found = await attribution.explain(x, { target })
      assertParity(t, found.attribution, readTensor(folder, said.gradient), 'gradient', rounding)
      if (/attention|of the batch/.test(name) && kind === '.static') {
        const code = 'ERR_SHAPE' // einsum, and statistics of all images, fix the batch
        using one = x.slice(0, 0, 1)
        await t.throwsAsync(model.forward(one), { code, message: /'(?:einsum|batch_norm)' fixes its batch/ })
        return
      }
      using one = x.slice(0, 0, 1)
      using alone = await model.forward(one)
      t.deepEqual([...alone.shape], [1, 5], 'another batch')
    })

/** Of eager PyTorch's rows: statistics of the batch, which torch.export fixed to three images, make each depend on the others. */
test.serial('an exported batch whose images depend on each other is not filled up with copies', async (t) => {
  const name = 'statistics of the batch'
  const { layer, cam: expected } = programs[name]!
  using model = await ScriptModule.load(join(folder, `${name}.static.pt2`))
  using x = toTensor(readTensor(folder, input))
  const target: Target = { kind: 'class', class: 1 }
  using cam = new Cam(model, { layers: [layer] })
  const expectedError = {
    code: 'ERR_BATCH_SIZE',
    message: /takes 3 images at a time, and not \d: .*comes out differently/,
  }
  for (const images of [1, 2, 5, 6]) {
    using some = Tensor.cat([x, x]).slice(0, 0, images)
    await t.throwsAsync(cam.explain(some, { target }), expectedError, `${images} images`)
  }
  using whole = await cam.explain(x, { target })
  assertParity(t, whole.get(), readTensor(folder, expected), 'the batch as it is', rounding)
  t.regex(
    modelNotes(model)
      .map(({ message }) => message)
      .join(),
    /comes out differently beside another/,
  )
  using scoreCam = new Cam(model, { layers: [layer], methods: ['scorecam'] })
  await t.throwsAsync(scoreCam.explain(x, { target }), { code: 'ERR_BATCH_SIZE', message: /runs copies of an image/ })
  using occlusion = new InputPerturbation(model, { method: 'occlusion', window: 4, stride: 4 })
  // All images are covered in the same run, as Captum does it.
  using covered = await occlusion.explain(x, { target })
  t.true(covered.notes.some(({ code }) => code === 'ROWS'))
  const codes: unknown[] = []
  for await (const result of explainAll(
    [0, 1, 2].map((i) => x.select(0, i)),
    { model, layer, target: 1 },
  )) {
    codes.push(result.ok ? 'explained' : (result.error as GradCamError).code)
    result.dispose()
  }
  t.deepEqual(codes, ['ERR_BATCH_SIZE', 'ERR_BATCH_SIZE', 'ERR_BATCH_SIZE'])
})

test.serial('one whose images do not is, whatever fixes it', async (t) => {
  const { layer } = programs['attention']!
  using model = await ScriptModule.load(join(folder, 'attention.static.pt2'))
  using x = toTensor(readTensor(folder, input))
  const expected = readTensor(folder, programs['attention']!.cam)
  for (const methods of [['gradcam'], ['gradcam', 'scorecam']] as const) {
    using cam = new Cam(model, { layers: [layer], methods })
    for (const images of [1, 2, 3]) {
      using some = x.slice(0, 0, images)
      using found = await cam.explain(some, { target: 1 })
      const each = expected.data.length / 3
      const part = { data: expected.data.slice(0, images * each), shape: [images, ...expected.shape.slice(1)] }
      assertParity(t, found.get(layer, 'gradcam'), part, `${methods.join()} of ${images} images`, rounding)
    }
  }
  t.deepEqual(
    modelNotes(model).filter(({ code }) => code === 'ROWS'),
    [],
  )
})

const messages: Readonly<Record<string, RegExp>> = {
  lstm: /aten::lstm under torch\.autocast.*export it again/,
  cond: /torch\.ops\.higher_order\.cond, control flow.*torch\.jit\.script/,
  map: /torch\.ops\.higher_order\.map(?:_impl)?, control flow.*torch\.jit\.script/,
  scan: /torch\.ops\.higher_order\.scan, control flow.*torch\.jit\.script/,
  while_loop: /torch\.ops\.higher_order\.while_loop, control flow.*torch\.jit\.script/,
  training: /training mode \(dropout at 'part\.0'\).*model\.eval\(\)/,
}

test('each program that is refused has a message', (t) => {
  t.deepEqual([...refused].sort(), Object.keys(messages).sort())
})

for (const name of refused)
  test.serial(`${name}: refused by name, with what to do`, async (t) => {
    const expected = { code: 'ERR_MODEL_UNSUPPORTED', message: messages[name]! }
    await t.throwsAsync(ScriptModule.load(join(folder, `${name}.pt2`)), expected)
  })
