// Architectures that come with the package, with weights, held to torchvision's and timm's own in eager PyTorch.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { GradCam, ScriptModule, type Target, type Tensor, type Value } from '../../lib/index.js'
import { disposeValue } from '../../lib/tensor/values.js'
import { cachedFolder } from '../support/cached-folder.js'
import { pythonWithModels } from '../support/model-packages.js'
import { needing } from '../support/needs.js'
import { assertParity, assertSame } from '../support/parity.js'
import { programsHash, runPython } from '../support/python.js'
import { readTensor, type StoredTensor } from '../support/stored-tensor.js'
import { toTensor } from '../support/to-tensor.js'

interface Case {
  readonly layer: string
  readonly size: readonly number[]
  /** Of the output, where it is a dict. */
  readonly part: string | null
}

const small = [2, 3, 64, 96]
const fixed = [2, 3, 224, 224]
const cases: Readonly<Record<string, Case>> = {
  resnet18: { layer: 'layer3', size: small, part: null },
  squeezenet1_1: { layer: 'features.9', size: small, part: null },
  mobilenet_v3_small: { layer: 'features.8', size: small, part: null },
  mnasnet0_5: { layer: 'layers.12', size: small, part: null },
  shufflenet_v2_x0_5: { layer: 'stage3', size: small, part: null },
  efficientnet_b0: { layer: 'features.7', size: small, part: null },
  regnet_y_400mf: { layer: 'trunk_output', size: small, part: null },
  googlenet: { layer: 'inception4e', size: small, part: null },
  convnext_tiny: { layer: 'features.5', size: small, part: null },
  lraspp_mobilenet_v3_large: { layer: 'classifier.cbr', size: small, part: 'out' },
  'timm:efficientnet_lite0': { layer: 'blocks.5', size: small, part: null },
  'timm:vit_tiny_patch16_224': { layer: 'patch_embed.proj', size: fixed, part: null },
  'timm:convnextv2_nano': { layer: 'stages.2', size: small, part: null },
}

interface Found {
  readonly file: string
  readonly input: StoredTensor
  readonly outputs: { readonly outputs: readonly StoredTensor[] }
  /** The class that is explained of each image. */
  readonly classes: readonly number[]
  readonly cam: StoredTensor
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

for (const [name, { layer, part }] of Object.entries(cases))
  run(`${name}: outputs, Grad-CAM and modules are those of eager PyTorch`, async (t) => {
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
      using gradCam = new GradCam(model, [layer], { execution })
      disposeValue(await gradCam.forward<Value>(input))
      await gradCam.backward(target)
      using map = gradCam.get(layer)
      assertParity(t, map, read(found.cam), `map, ${execution}`)
    }
    const paths = model.namedModules().map(({ path }) => path)
    t.deepEqual([...paths].sort(), [...found.modules].sort())
  })
