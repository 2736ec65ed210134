import test from 'ava'
import { Cam, ScriptModule, Tensor, type CamMethod, type CamOptions, type Target } from '../../lib/index.js'
import { farthest } from '../support/arithmetic.js'
import { assertMap } from '../support/parity.js'
import { peerReference, type PeerModel } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

/** Greatest difference of a map in [0, 1]. */
const tolerance = 1e-5

/**
 * The peer rounds scores to float32 even of a float64 net, and the weight is their difference. Where a missing channel
 * changes them by a thousandth, or by a fiftieth, its map is up to 2.2e-5 from that of the formula in float64.
 */
const roundedScoresTolerance = 5e-5
const roundedScores: readonly string[] = ['vgg11_double', 'densenet121_double']

type Method = 'scorecam' | 'ablationcam'
type Model = Omit<PeerModel, 'seed'> & {
  readonly methods: readonly Method[]
  readonly batch_sizes?: readonly number[]
  /** Of one kind of target alone, and split alone: each of its maps takes some hundred passes. */
  readonly large?: true
}

const both = ['scorecam', 'ablationcam'] as const
const firstThree = [0, 1, 2]
const large = { input_seed: 1, size: [3, 3, 32, 48], large: true } as const
const resnet18 = { ...large, classes: [16, 10, 10], layer_sets: [['layer2'], ['layer2', 'layer3']] }
const vgg11 = { ...large, classes: [3, 3, 5], layer_sets: [['features.4'], ['features.4', 'features.9']] }

/**
 * Ablation-CAM where the layer ends in a ReLU: elsewhere the peer is wrong, see below. In float64 where there are many
 * channels, each of which changes the score by little: in float32 most of that difference's digits cancel, and the peer's
 * own maps are up to 2e-4 from those it makes of the same net in float64, where it still rounds the scores to float32.
 */
const models: Readonly<Record<string, Model>> = {
  plain_double: {
    input_seed: 1,
    size: [3, 3, 16, 20],
    classes: firstThree,
    layer_sets: [['features.6'], ['features.2', 'features.6']],
    methods: both,
  },
  residual: {
    input_seed: 1,
    size: [3, 3, 16, 20],
    classes: firstThree,
    layer_sets: [['blocks.1'], ['blocks.0', 'blocks.1']],
    methods: both,
  },
  dense: {
    input_seed: 1,
    size: [3, 3, 16, 20],
    classes: firstThree,
    layer_sets: [['layer2'], ['layer1', 'layer3.conv1']],
    methods: ['scorecam'],
  },
  vit: { input_seed: 1, classes: firstThree, layer_sets: [['blocks.0']], methods: ['scorecam'], reshape: 'vit' },
  channels_last: {
    input_seed: 1,
    classes: firstThree,
    layer_sets: [['stage']],
    methods: ['scorecam'],
    reshape: 'swin',
  },
  resnet18: { ...resnet18, methods: ['scorecam'] },
  resnet18_double: { ...resnet18, methods: ['ablationcam'] },
  vgg11: { ...vgg11, methods: ['scorecam'] },
  vgg11_double: { ...vgg11, methods: ['ablationcam'] },
  densenet121: {
    ...large,
    classes: [283, 243, 7],
    layer_sets: [['features.denseblock1'], ['features.denseblock1', 'features.transition1']],
    methods: ['scorecam'],
  },
  // Layers that end in a ReLU are inside its blocks.
  densenet121_double: {
    ...large,
    classes: [283, 243, 7],
    layer_sets: [
      ['features.denseblock3.denselayer24.relu2'],
      ['features.denseblock3.denselayer23.relu2', 'features.denseblock3.denselayer24.relu2'],
    ],
    methods: ['ablationcam'],
  },
  plain: {
    input_seed: 1,
    size: [3, 3, 16, 20],
    classes: firstThree,
    layer_sets: [['features']],
    methods: [],
    batch_sizes: [1, 32],
  },
}

const peer = await peerReference('peer_reruns.py', { models })
const run = needing('peers', peer, test.serial)

const firstOf = (input: Tensor, images: number) => input.narrow(0, 0, images)

for (const [name, { classes, layer_sets, methods, reshape, large: isLarge }] of Object.entries(models)) {
  for (const kind of methods.length > 0 ? (['scripted', 'traced'] as const) : []) {
    run(`${name}, ${kind}: Score-CAM and Ablation-CAM are pytorch-grad-cam's`, async (t) => {
      using model = await ScriptModule.load(peer!.file(name, kind))
      using whole = toTensor(peer!.input(name))
      for (const images of [1, 3]) {
        using input = firstOf(whole, images)
        const given = classes.slice(0, images)
        const targets: Record<string, Target> = {
          '': given,
          ...(!isLarge && { 'probability:': { kind: 'probability', class: given }, 'argmax:': 'argmax' }),
        }
        for (const layers of layer_sets) {
          for (const execution of isLarge ? (['auto'] as const) : (['auto', 'hooked'] as const)) {
            const options: CamOptions = {
              layers,
              methods,
              execution,
              compat: 'pytorch-grad-cam',
              chunkSize: isLarge ? 16 : 5,
            }
            using cam = new Cam(model, { ...options, ...(reshape && { reshape }) })
            for (const [prefix, target] of Object.entries(targets)) {
              using found = await cam.explain(input, { target })
              for (const method of methods) {
                const expected = peer!.tensor(name, `${images} ${layers.join(' ')}`, prefix + method)
                const what = `${prefix}${method} at ${layers.join(' and ')}, ${images} images, ${execution}`
                const allowed = roundedScores.includes(name) ? roundedScoresTolerance : tolerance
                assertMap(t, found.get(undefined, method), expected, what, allowed)
              }
            }
          }
        }
      }
    })
  }
}

run(
  'where activations are negative, Ablation-CAM of pytorch-grad-cam depends on its batch size, ours does not',
  async (t) => {
    const name = 'plain'
    const [one, many] = [1, 32].map(
      (size) => peer!.tensor(name, '3 features', `batch ${size}`).data as Float32Array,
    ) as [Float32Array, Float32Array]
    t.true(farthest(one, many) > 0.1)
    using model = await ScriptModule.load(peer!.file(name, 'scripted'))
    using input = toTensor(peer!.input(name))
    const methods: readonly CamMethod[] = ['ablationcam']
    const maps: Float32Array[] = []
    for (const chunkSize of [1, 32]) {
      using cam = new Cam(model, { layers: ['features'], methods, compat: 'pytorch-grad-cam', chunkSize })
      using found = await cam.explain(input, { target: firstThree })
      maps.push(found.cam.toTypedArray() as Float32Array)
    }
    // That it is the formula's is a matter of formulas.test.
    t.true(farthest(maps[0]!, maps[1]!) <= tolerance)
  },
)
