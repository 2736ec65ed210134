// Regions of exported programs: torch.autocast and torch.no_grad run as in eager PyTorch, control flow is refused by name.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { GradCam, InputAttribution, ScriptModule, type Target, type Tensor } from '../../lib/index.js'
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
