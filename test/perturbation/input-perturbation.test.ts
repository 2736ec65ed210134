import test from 'ava'
import { InputPerturbation, ScriptModule, Tensor, type InputPerturbationOptions } from '../../lib/index.js'
import { assertSame } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

const models: Readonly<Record<string, { classes: readonly number[]; size?: readonly number[]; scale?: number }>> = {
  plain: { classes: [0, 1, 2], size: [3, 3, 16, 20] },
  plain_double: { classes: [0, 1, 2], size: [3, 3, 16, 20] },
  vit: { classes: [0, 1, 2], size: [3, 3, 32, 48] },
  resnet18: { classes: [16, 10, 10], size: [3, 3, 64, 80], scale: 4 },
  vgg11: { classes: [3, 3, 5], size: [3, 3, 64, 80], scale: 4 },
  densenet121: { classes: [573, 998, 13], size: [3, 3, 64, 80], scale: 4 },
  one_dimension: { classes: [3, 4] },
}

const peer = await peerReference('peer_perturbations.py', { models })
const run = needing('peers', peer, test.serial)

for (const [name, { classes, scale = 1 }] of Object.entries(models)) {
  const expected = (what: string) => peer!.tensor(name, 'captum', what)
  // Captum gives occlusion back in float32, whatever the model's dtype.
  const toleranceOf = (what: string) => (name !== 'plain_double' ? 1e-5 : what.startsWith('occlusion') ? 1e-7 : 1e-9)
  for (const kind of ['scripted', 'traced'] as const)
    for (const execution of scale > 1 ? (['split'] as const) : (['split', 'hooked'] as const))
      run(`${name}, ${kind}, ${execution}: what Captum makes of it`, async (t) => {
        using model = await ScriptModule.load(peer!.file(name, kind))
        using input = toTensor(peer!.input(name))
        const compare = async (what: string, runs: number, options: InputPerturbationOptions) => {
          using perturbation = new InputPerturbation(model, { execution, ...options })
          using found = await perturbation.explain(input, { target: classes })
          assertSame(t, found.attribution, expected(what), what, toleranceOf(what))
          t.is(found.runs, runs, what)
          t.is(found.execution.path, execution)
          t.deepEqual(found.targets, classes)
          t.deepEqual(found.shape, input.shape)
        }
        const [, channels = 0, height = 0, width = 0] = input.shape
        if (name === 'one_dimension') {
          await compare('every element', 120, { method: 'feature-ablation' })
          await compare('occlusion', 8, { method: 'occlusion', window: [6], stride: [5] })
          return
        }
        const steps = (size: number, window: number, stride: number) => Math.ceil((size - window) / stride) + 1
        const few = steps(height, 4 * scale, 3 * scale) * steps(width, 5 * scale, 2 * scale)
        const scaled = (...sizes: number[]) => sizes.map((size) => size * scale)
        for (const batchSize of scale > 1 ? [16] : [1, 7, 64])
          await compare('occlusion', few, {
            method: 'occlusion',
            window: scaled(4, 5),
            stride: scaled(3, 2),
            batchSize,
          })
        await compare(
          'occlusion by channels',
          channels * steps(height, 7 * scale, 4 * scale) * steps(width, 6 * scale, 6 * scale),
          {
            method: 'occlusion',
            window: [1, ...scaled(7, 6)],
            stride: [1, ...scaled(4, 6)],
            baseline: 0.25,
          },
        )
        using baseline = toTensor(expected('baseline'))
        await compare('occlusion with an image', steps(width, 3 * scale, 2 * scale), {
          method: 'occlusion',
          window: [height, 3 * scale],
          stride: [1, 2 * scale],
          baseline,
        })
        using features = toTensor(expected('features'))
        const numbers = (tensor: Tensor) => new Set(tensor.toTypedArray() as BigInt64Array).size
        await compare('feature ablation', numbers(features), { method: 'feature-ablation', features })
        using own = toTensor(expected('own features'))
        await compare('own feature ablation', numbers(own), {
          method: 'feature-ablation',
          features: own,
          baseline: -0.5,
          batchSize: 10,
        })
      })
}
