// Files of torch.jit.freeze: their operators are layers, held to the layers of the eager net that they came from.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { FullGrad, GradCam, GuidedBackprop, InputAttribution, ScriptModule } from '../../lib/index.js'
import { cachedFolder } from '../support/cached-folder.js'
import { needing } from '../support/needs.js'
import { pythonPackagesOrNull } from '../support/numpy.js'
import { gradcam } from '../support/package-copy.js'
import { assertParity, assertSame } from '../support/parity.js'
import { programsHash, runPython, testPython } from '../support/python.js'
import { Reference } from '../support/reference.js'
import { toTensor } from '../support/to-tensor.js'

/** The layers of a frozen net, with the eager one that each came from: a folded batch norm is part of its convolution. */
interface Frozen {
  readonly layers: Readonly<Record<string, string>>
  readonly target: number[]
  readonly size?: readonly number[]
  readonly guided?: true
}

const cases: Readonly<Record<string, Frozen>> = {
  plain_double: {
    layers: { conv2d: 'features.1', relu: 'features.2', max_pool2d: 'features.3', conv2d_2: 'features' },
    target: [1, 2],
    guided: true,
  },
  resnet18_double: {
    layers: { relu: 'relu', relu_16: 'layer4', conv2d_19: 'layer4.1.bn2' },
    target: [1, 3],
    size: [2, 3, 64, 64],
    guided: true,
  },
  densenet121_double: {
    layers: { conv2d: 'features.norm0', batch_norm_61: 'features' },
    target: [283, 243],
    size: [2, 3, 64, 64],
    guided: true,
  },
  vit: { layers: { conv2d: 'patch_embed' }, target: [0, 1, 2] },
}

const python = await testPython()
const withNumpy = await pythonPackagesOrNull()
const run = needing('packages', withNumpy, test.serial)
const models = Object.fromEntries(
  Object.entries(cases).map(([name, { layers, ...job }]) => [name, { ...job, layers: Object.values(layers) }]),
)
const job = JSON.stringify({ models })
const folder =
  withNumpy &&
  (await cachedFolder('frozen', [job, programsHash('frozen.py'), python.identity], async (partial) => {
    mkdirSync(partial)
    writeFileSync(join(partial, 'job.json'), job)
    await runPython({ ...python, env: withNumpy }, 'frozen.py', [join(partial, 'job.json'), partial])
  }))
const nets = new Reference(
  folder ?? '',
  folder === null ? { torch: '', models: {} } : JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')),
)

for (const [name, { layers, target, guided }] of Object.entries(cases))
  for (const kind of ['scripted', 'traced'] as const)
    test.serial(
      `${name}, ${kind} and frozen: Grad-CAM at ${Object.keys(layers).join(', ')}, and gradients`,
      async (t) => {
        using model = await ScriptModule.load(nets.file(name, kind))
        using input = toTensor(nets.input(name))
        using output = await model.forward(input)
        assertSame(t, output, nets.outputs(name, 'forward')[0]!, 'output')
        for (const [layer, eager] of Object.entries(layers))
          for (const execution of ['auto', 'hooked'] as const) {
            using gradCam = new GradCam(model, [layer], { execution })
            using found = await gradCam.explain(input, { target })
            assertParity(t, found.get(layer), nets.tensor(name, 'gradcam', `cam:${eager}`), `${layer}, ${execution}`)
          }
        using gradient = new InputAttribution(model, { method: 'gradient' })
        using plain = await gradient.explain(input, { target })
        assertParity(t, plain.attribution, nets.tensor(name, 'gradient', 'gradient'), 'gradient')
        if (!guided) return
        using guidedBackprop = new GuidedBackprop(model)
        using guidance = await guidedBackprop.explain(input, { target })
        assertParity(t, guidance.gradient, nets.tensor(name, 'guided', 'gradient'), 'guided')
        t.is(guidance.intercepted, nets.number(name, 'guided', 'intercepted'))
      },
    )

run('a frozen model has the weights of its layers, by stable names', async (t) => {
  using model = await ScriptModule.load(nets.file('plain_double', 'scripted'))
  using again = await ScriptModule.load(readFileSync(nets.file('plain_double', 'scripted')))
  t.deepEqual(model.namedModules(), again.namedModules())
  t.deepEqual(model.capabilities, { hookable: true, splittable: true, differentiable: true })
  t.is(model.dtype, 'float64')
  const shown = model.namedModules().map(({ path, typeName, parameters }) => `${path} ${typeName} ${parameters}`)
  t.deepEqual(shown.slice(1), [
    `conv2d Conv2d ${6 * 3 * 9 + 6}`,
    'relu ReLU 0',
    'max_pool2d MaxPool2d 0',
    `conv2d_1 Conv2d ${8 * 6 * 9 + 8}`,
    'relu_1 ReLU 0',
    `conv2d_2 Conv2d ${8 * 8 * 9 + 8}`,
    ...shown.slice(7, -1),
    `linear Linear ${8 * 5 + 5}`,
  ])
  using random = await model.randomized({ seed: 1, modules: ['conv2d_1'] })
  using input = toTensor(nets.input('plain_double'))
  using before = await model.forward(input)
  using other = await random.forward(input)
  t.notDeepEqual(other.toTypedArray(), before.toTypedArray())
  using fullGrad = new FullGrad(model)
  using map = await fullGrad.explain(input, { target: [1, 2] })
  t.true(map.cam.amax([0, 1, 2, 3]).item() > 0)
})

run('layers lists those of a frozen file; one that it lost is refused with those that it has', async (t) => {
  const file = nets.file('plain_double', 'scripted')
  t.regex(gradcam(['layers', file]).stdout, /conv2d_1 +Conv2d +440/)
  using model = await ScriptModule.load(file)
  t.throws(() => new GradCam(model, ['features']), {
    code: 'ERR_MODEL_FROZEN',
    message: /torch\.jit\.freeze.*'conv2d': `gradcam layers FILE` lists them/,
  })
})
