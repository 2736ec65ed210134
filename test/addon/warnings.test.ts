import test from 'ava'
import { join } from 'node:path'
import {
  explainAll,
  GradCam,
  GradCamError,
  GuidedBackprop,
  InputAttribution,
  InputPerturbation,
  ScriptModule,
  Tensor,
} from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'
import { run } from '../../lib/base/processes.js'
import { harmfulModels } from '../support/harmful.js'

const models = await harmfulModels()
const spoken = ['the model speaks']

// LibTorch may let a `warnings.warn` of a model speak once only, so that each test loads the model again.
const load = (name = 'Warns') => ScriptModule.load(models.file(name))
const image = () => Tensor.ones([1, 3, 8, 8])

test.serial('a warning is in the explanation that it belongs to', async (t) => {
  for (const execution of ['hooked', 'split'] as const) {
    using model = await load()
    using cam = new GradCam(model, ['late'], { execution })
    using input = image()
    using found = await cam.explain(input, { target: 0 })
    t.deepEqual(found.warnings, spoken, execution)
  }
})

test.serial('it is in the result of the steps, of several classes, and of a target function', async (t) => {
  using input = image()
  {
    using model = await load()
    using cam = new GradCam(model, ['late'])
    using _output = await cam.forward(input)
    t.deepEqual((await cam.backward(0)).warnings, spoken)
  }
  using model = await load()
  using cam = new GradCam(model, ['late'])
  using found = await cam.explain(input, { target: (output) => output.sum() })
  t.deepEqual(found.warnings, spoken)
})

test.serial('every kind of explanation has it', async (t) => {
  using input = image()
  const kinds = [
    (model: ScriptModule) => new GuidedBackprop(model, { scope: 'all' }).explain(input, { target: 0 }),
    (model: ScriptModule) => new InputAttribution(model, { method: 'saliency' }).explain(input, { target: 0 }),
    (model: ScriptModule) =>
      new InputAttribution(model, { method: 'integrated-gradients', steps: 4 }).explain(input, { target: 0 }),
    (model: ScriptModule) =>
      new InputPerturbation(model, { method: 'occlusion', window: [4, 4], stride: [4, 4] }).explain(input, {
        target: 0,
      }),
  ]
  for (const explain of kinds) {
    using model = await load()
    using found = await explain(model)
    t.deepEqual(found.warnings, spoken)
  }
})

test.serial('a batch has it', async (t) => {
  using model = await load()
  const input = image()
  for await (const result of explainAll([input], { model, layer: 'late', target: 0 })) {
    t.true(result.ok)
    if (result.ok) {
      t.deepEqual(result.warnings, spoken)
      result.dispose()
    }
  }
})

test.serial('a warning before a failure is in the error', async (t) => {
  using model = await load('WarnsAndFails')
  using input = image()
  const error = await t.throwsAsync(model.forward(input), { instanceOf: GradCamError, code: 'ERR_TORCH' })
  t.deepEqual(error?.warnings, ['before it fails'])
  t.deepEqual(error?.toJSON().warnings, ['before it fails'])
})

test.serial('passes side by side keep their warnings apart', async (t) => {
  using speaking = await load()
  using quiet = await ScriptModule.load(models.file('Plain'))
  using input = image()
  const explain = async (model: ScriptModule) => {
    using cam = new GradCam(model, ['late'])
    using found = await cam.explain(input, { target: 0 })
    return found.warnings
  }
  const all = await Promise.all([explain(quiet), explain(speaking), explain(quiet)])
  t.deepEqual(all, [[], spoken, []])
})

test.serial(
  'a result without a place for warnings has them announced by Node.js, once, and nothing is printed',
  async (t) => {
    const program = `
    const { ScriptModule, Tensor } = await import(${JSON.stringify(join(packageRoot, 'dist/lib/index.js'))})
    process.on('warning', ({ name, code, message }) => console.log(name, code, message))
    for (let i = 0; i < 2; i++) {
      const model = await ScriptModule.load(process.argv[1])
      await model.forward(Tensor.ones([1, 3, 8, 8]))
    }`
    const args = ['--no-warnings', '--input-type=module', '--eval', program, models.file('Warns')]
    const ended = await run(process.execPath, args)
    t.is(ended.stdout.trim(), 'TorchWarning GRADCAM_TORCH the model speaks', ended.stderr)
    t.is(ended.stderr, '')
  },
)
