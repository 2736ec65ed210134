// Operators of a library: torchvision's own, as detection models use them.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { GradCam, InputAttribution, ScriptModule, type Target, type Tensor, type Value } from '../../lib/index.js'
import { disposeValue } from '../../lib/tensor/values.js'
import { cachedFolder } from '../support/cached-folder.js'
import { pythonWithModels } from '../support/model-packages.js'
import { needing } from '../support/needs.js'
import { lacksCuda } from '../support/operator-build.js'
import { gradcam } from '../support/package-copy.js'
import { assertParity, assertSame } from '../support/parity.js'
import { programsHash, runPython } from '../support/python.js'
import { readTensor, type StoredTensor } from '../support/stored-tensor.js'
import { toTensor } from '../support/to-tensor.js'

type Explained = Readonly<Record<'scores' | 'boxes' | 'gradient' | 'cam', StoredTensor>>

interface Facts {
  readonly library: string
  readonly input: StoredTensor
  /** What eager PyTorch says of each; `aligned` has an operator whose gradient torchvision registers in Python alone. */
  readonly programs: Readonly<Record<'detector' | 'aligned', Explained>>
}

const python = await pythonWithModels()
const folder =
  python &&
  (await cachedFolder('library', [programsHash('library_program.py'), python.identity], async (partial) => {
    await runPython(python, 'library_program.py', [partial])
  }))
const run = needing('models', folder, test.serial)
const facts = folder === null ? null : (JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Facts)
const loading = facts && lacksCuda(facts.library) ? needing('cudaLibraries', null) : run
const file = join(folder ?? '', 'detector.pt2')

run('without its library a program is refused by the name of the operator', async (t) => {
  await t.throwsAsync(ScriptModule.load(file), { code: 'ERR_MODEL_OPERATOR', message: /torchvision::\w+.*`libraries`/ })
})

for (const program of ['detector', 'aligned'] as const)
  loading(`${program}: with its library it returns, and is explained, as in eager PyTorch`, async (t) => {
    const { library, input: given, programs } = facts!
    const expected = (name: keyof Explained) => readTensor(folder!, programs[program][name])
    using model = await ScriptModule.load(join(folder!, `${program}.pt2`), { libraries: [library] })
    using input = toTensor(readTensor(folder!, given))
    const output = await model.forward<Record<string, Tensor>>(input)
    assertSame(t, output['scores']!, expected('scores'), 'scores')
    assertSame(t, output['boxes']!, expected('boxes'), 'boxes')
    disposeValue(output)
    const target: Target<Value> = (returned) => (returned as Record<string, Tensor>)['scores']!.select(1, 1).sum()
    using gradCam = new GradCam(model, ['features'])
    disposeValue(await gradCam.forward<Value>(input))
    await gradCam.backward(target)
    assertParity(t, gradCam.get('features'), expected('cam'), 'map')
    using attribution = new InputAttribution(model, { method: 'gradient' })
    using gradient = await attribution.explain(input, { target: target as Target })
    assertParity(t, gradient.attribution, expected('gradient'), 'gradient')
  })

loading('commands take the library', (t) => {
  const listed = gradcam(['layers', file, '--library', facts!.library, '--size', '16x20'])
  t.is(listed.code, 0, listed.stderr)
  t.regex(listed.stdout, /features +Conv2d +168 +\[1, 6, 8, 10\]/)
})
