// Architectures that come with the package, with weights, held to torchvision's and timm's own in eager PyTorch.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import {
  GradCam,
  GuidedBackprop,
  InputAttribution,
  ScriptModule,
  type Model,
  type Target,
  type Tensor,
  type Value,
} from '../../lib/index.js'
import { disposeValue } from '../../lib/tensor/values.js'
import { cachedFolder } from '../support/cached-folder.js'
import { pythonWithModels } from '../support/model-packages.js'
import { needing } from '../support/needs.js'
import { assertParity, assertSame } from '../support/parity.js'
import { programsHash, runPython } from '../support/python.js'
import { readTensor, type StoredTensor } from '../support/stored-tensor.js'
import { toTensor } from '../support/to-tensor.js'

interface Case {
  readonly layers: readonly string[]
  readonly size: readonly number[]
  /** Of the output, where it is a dict. */
  readonly part: string | null
  /** What is said of the image itself: guided backprop where the net has ReLUs, else its gradient. */
  readonly input: 'guided' | 'gradient' | null
}

const caseOf =
  (size: readonly number[], part: string | null = null) =>
  (input: Case['input'], ...layers: string[]): Case => ({ layers, size, part, input })
const small = caseOf([2, 3, 64, 96])
const square = caseOf([2, 3, 64, 64])
const fixed = caseOf([2, 3, 224, 224])
/** Of each kind of network one that is cheap to run. */
const cases: Readonly<Record<string, Case>> = {
  resnet18: small(null, 'layer3'),
  squeezenet1_1: small(null, 'features.9'),
  mobilenet_v3_small: small(null, 'features.8'),
  mnasnet0_5: small(null, 'layers.12'),
  shufflenet_v2_x0_5: small(null, 'stage3'),
  efficientnet_b0: small(null, 'features.7'),
  regnet_y_400mf: small(null, 'trunk_output'),
  googlenet: small(null, 'inception4e'),
  convnext_tiny: small(null, 'features.5'),
  lraspp_mobilenet_v3_large: caseOf([2, 3, 64, 96], 'out')(null, 'classifier.cbr'),
  'timm:efficientnet_lite0': small(null, 'blocks.5'),
  'timm:vit_tiny_patch16_224': fixed(null, 'patch_embed.proj'),
  'timm:convnextv2_nano': small(null, 'stages.2'),
  'timm:repvgg_a0': small('guided', 'stages.3', 'stages.1'),
  'timm:hrnet_w18_small': square('guided', 'final_layer', 'incre_modules.2'),
  'timm:dla34': small('guided', 'level5', 'level3'),
  'timm:rexnet_100': small('gradient', 'features.16', 'features.8'),
  'timm:fastvit_t8': square('gradient', 'stages.3', 'stages.1'),
  'timm:poolformer_s12': small('gradient', 'stages.3', 'stages.1'),
  'timm:mobilevit_s': caseOf([1, 3, 256, 256])('gradient', 'stages.4', 'stages.3'),
  'timm:levit_128s': fixed('gradient', 'stem', 'stem.act2'),
  'timm:pit_ti_224': fixed('gradient', 'patch_embed'),
  'timm:mixer_s32_224': fixed('gradient', 'stem.proj'),
  'timm:eva02_tiny_patch14_224': fixed('gradient', 'patch_embed.proj'),
  'timm:edgenext_small': small('gradient', 'stages.3', 'stages.1'),
  // Its blocks share position encodings, which its weights hold under several names.
  'timm:coat_tiny': caseOf([1, 3, 224, 224])('gradient', 'patch_embed1.proj', 'patch_embed4.proj'),
  'timm:crossvit_tiny_240': caseOf([1, 3, 240, 240])('gradient', 'patch_embed.0.proj', 'patch_embed.1.proj'),
}

interface Found {
  readonly file: string
  readonly input: StoredTensor
  readonly outputs: { readonly outputs: readonly StoredTensor[] }
  /** The class that is explained of each image. */
  readonly classes: readonly number[]
  /** One of each layer. */
  readonly cams: readonly StoredTensor[]
  readonly gradient: StoredTensor | null
  /** How many ReLUs guided backprop met; null where that was not asked. */
  readonly intercepted: number | null
  readonly modules: readonly string[]
}

const python = await pythonWithModels()
const folder =
  python &&
  (await cachedFolder(
    'architectures',
    [JSON.stringify(cases), programsHash('architectures.py'), python.identity],
    async (partial) => {
      mkdirSync(partial)
      const job = join(partial, 'job.json')
      writeFileSync(job, JSON.stringify(cases))
      await runPython(python, 'architectures.py', [job, partial])
    },
  ))
const index =
  folder === null ? null : (JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Record<string, Found>)
const run = needing('models', index, test.serial)

/** The gradient at the image, and how many ReLUs guided backprop met on the way to it. */
async function inputGradient(model: Model, input: Tensor, target: Target<Value>, isGuided: boolean) {
  if (isGuided) {
    using guided = new GuidedBackprop(model)
    disposeValue(await guided.forward<Value>(input))
    await guided.backward(target)
    return { gradient: guided.get(), intercepted: guided.intercepted }
  }
  using plain = new InputAttribution(model, { method: 'gradient' })
  const { output, attribution } = await plain.explain<Value>(input, { target })
  disposeValue(output)
  return { gradient: attribution, intercepted: null }
}

for (const [name, { layers, part }] of Object.entries(cases))
  run(`${name}: outputs, Grad-CAM, gradients and modules are those of eager PyTorch`, async (t) => {
    const found = index![name]!
    const read = (stored: StoredTensor) => readTensor(folder!, stored)
    using model = await ScriptModule.load(name, { weights: join(folder!, found.file) })
    t.like(model.weights, { architecture: name, classes: 7, prefix: '', key: null })
    using input = toTensor(read(found.input))
    const output = await model.forward<Value>(input)
    const scoresOf = (returned: Value): Tensor =>
      (part === null ? returned : (returned as Record<string, Value>)[part]) as Tensor
    assertSame(t, scoresOf(output), read(found.outputs.outputs[0]!), 'output')
    disposeValue(output)
    const target: Target<Value> = (returned) =>
      found.classes
        .map((chosen, image) => scoresOf(returned).select(0, image).select(0, chosen).sum())
        .reduce((sum, score) => sum.add(score))
    for (const execution of ['auto', 'hooked'] as const) {
      using gradCam = new GradCam(model, [...layers], { execution })
      disposeValue(await gradCam.forward<Value>(input))
      await gradCam.backward(target)
      for (const [at, layer] of layers.entries()) {
        using map = gradCam.get(layer)
        assertParity(t, map, read(found.cams[at]!), `map at ${layer}, ${execution}`)
      }
    }
    if (found.gradient) {
      const isGuided = found.intercepted !== null
      const { gradient, intercepted } = await inputGradient(model, input, target, isGuided)
      using own = gradient
      assertParity(t, own, read(found.gradient), isGuided ? 'guided backprop' : 'gradient')
      t.is(intercepted, found.intercepted)
    }
    const paths = model.namedModules().map(({ path }) => path)
    // A module that another parent runs, as coat's blocks do, is also listed below that by its own name.
    const isAgain = (path: string): boolean =>
      !found.modules.includes(path) && found.modules.some((other) => path.endsWith(`.${other}`))
    t.deepEqual(paths.filter((path) => !isAgain(path)).sort(), [...found.modules].sort())
  })
