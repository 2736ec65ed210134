import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { Cam, ScriptModule, camMethods, type CamMethod, type TargetData } from '../../lib/index.js'
import { native } from '../../lib/addon/native.js'
import { cachedFolder } from '../support/cached-folder.js'
import { assertSame } from '../support/parity.js'
import { programsHash, runPython, testPython } from '../support/python.js'
import { pythonPackagesOrNull } from '../support/numpy.js'
import { Reference } from '../support/reference.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

/** Both sides compute in float64. */
const tolerance = 1e-9
/** Shapley-CAM's second derivative is a difference quotient on the other side. */
const loose = 1e-6

const job = {
  models: {
    plain_double: { layer: 'features', classes: [0, 1, 2] },
    curved: { layer: 'features', classes: [0, 1, 2] },
    pooled_linear: { layer: 'features', classes: [3, 1, 2] },
  },
}

const packages = await pythonPackagesOrNull()
const derived = packages && (await derive(packages))
const run = needing('packages', derived, test.serial)

async function derive(withNumpy: NodeJS.ProcessEnv): Promise<Reference> {
  const python = await testPython()
  const key = [JSON.stringify(job), programsHash('formulas.py'), python.identity]
  const folder = await cachedFolder('formulas', key, async (partial) => {
    mkdirSync(partial)
    const file = join(partial, 'job.json')
    writeFileSync(file, JSON.stringify(job))
    await runPython({ ...python, env: withNumpy }, 'formulas.py', [file, partial])
  })
  return new Reference(folder, JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')))
}

const derivedMethods = (Object.keys(camMethods) as CamMethod[]).filter((method) => method !== 'randomcam')

for (const [name, { layer, classes }] of Object.entries(job.models)) {
  run(`${name}: every formula, derived again`, async (t) => {
    using model = await ScriptModule.load(derived!.file(name, 'scripted'))
    using input = toTensor(derived!.input(name))
    const target = classes.slice(0, input.shape[0])
    const methods = derivedMethods.filter((method) => method !== 'cam' || name === 'pooled_linear')
    using signed = new Cam(model, { layers: [layer], methods, compat: 'captum' })
    using found = await signed.explain(input, { target })
    using clipped = new Cam(model, { layers: [layer], methods })
    using positive = await clipped.explain(input, { target })
    for (const method of methods) {
      const expected = derived!.tensor(name, 'maps', method)
      assertSame(t, found.get(layer, method), expected, method, method === 'shapleycam' ? loose : tolerance)
      const atLeastZero = Float64Array.from(expected.data as Float64Array, (value) => Math.max(value, 0))
      const shape = expected.shape
      assertSame(t, positive.get(layer, method), { shape, data: atLeastZero }, `max(${method}, 0)`, loose)
    }
    using smooth = new Cam(model, { layers: [layer], compat: 'captum', eigenSmooth: true })
    using smoothed = await smooth.explain(input, { target })
    assertSame(t, smoothed.cam, derived!.tensor(name, 'maps', 'smooth'), 'eigen smoothing', tolerance)
  })

  run(`${name}: the score of every kind of target`, async (t) => {
    using model = await ScriptModule.load(derived!.file(name, 'scripted'))
    using input = toTensor(derived!.input(name))
    const chosen = classes.slice(0, input.shape[0])
    const targets: Record<string, TargetData> = {
      class: { kind: 'class', class: chosen },
      argmax: { kind: 'class' },
      probability: { kind: 'probability', class: chosen },
      difference: { kind: 'difference', class: chosen, minus: 4 },
      negative: { kind: 'regression', output: 2, sign: -1 },
      finer: { kind: 'finer', class: chosen },
      finer_two: { kind: 'finer', class: chosen, nearest: 2, alpha: 0.5 },
      finer_against: { kind: 'finer', class: chosen, against: [3, 4] },
    }
    using cam = new Cam(model, { layers: [layer] })
    await cam.forward(input)
    for (const [kind, target] of Object.entries(targets)) {
      const { scores } = await cam.backward(target)
      const expected = derived!.tensor(name, 'scores', kind)
      const actual = { shape: [scores.length], toTypedArray: () => scores }
      assertSame(t, actual, expected, kind, tolerance)
    }
  })
}

test('the table of methods is that of the native side', (t) => {
  t.deepEqual(Object.keys(camMethods), native().layerMethods())
})
