import test from 'ava'
import { GradCam, ScriptModule } from '../../lib/index.js'
import { assertParity } from '../support/parity.js'
import { reference, type ReferenceCase } from '../support/reference.js'
import { toTensor } from '../support/to-tensor.js'

// Convolutions that a split fuses with the batch norm, the concatenation and the sum around them, beside eager PyTorch.
const layers = {
  fused_dense: 'last',
  fused_residual: 'last.0',
  fused_pre_activation: 'last',
  fused_residual_double: 'last.0',
} as const
// With these seeds no expected map is all zero.
const seeds = { fused_dense: 0, fused_residual: 1, fused_pre_activation: 1, fused_residual_double: 0 } as const
// Where an output row is longer and where it is shorter than a tile of the kernels, and of uneven sizes.
const sizes = [
  [1, 3, 41, 58],
  [3, 3, 16, 20],
  [8, 3, 23, 37],
]
const nets = Object.keys(layers) as (keyof typeof layers)[]

const targets = (size: readonly number[]) => Array.from({ length: size[0]! }, (_, image) => image % 5)
const peers = await Promise.all(
  sizes.map((size, n) => {
    const caseOf = (net: (typeof nets)[number]): ReferenceCase => ({
      method: 'gradcam',
      layers: [layers[net]],
      target: targets(size),
    })
    return reference(
      `fused-parity-${n}`,
      Object.fromEntries(nets.map((net) => [net, { seed: seeds[net], size, cases: { cam: caseOf(net) } }])),
    )
  }),
)

for (const net of nets)
  for (const kind of ['scripted', 'traced'] as const)
    test.serial(
      `${net}, ${kind}: maps of one split for images of changing sizes, numbers and memory formats`,
      async (t) => {
        const layer = layers[net]
        using model = await ScriptModule.load(peers[0]!.file(net, kind))
        using gradCam = new GradCam(model, [layer])
        for (const n of [0, 1, 2, 0, 2, 1]) {
          using input = toTensor(peers[n]!.input(net))
          for (const memoryFormat of ['contiguous', 'channelsLast'] as const) {
            using laid = input.contiguous({ memoryFormat })
            using found = await gradCam.explain(laid, { target: targets(sizes[n]!) })
            t.deepEqual(found.execution, { path: 'split' })
            assertParity(t, found.cam, peers[n]!.tensor(net, 'cam', `cam:${layer}`), `${sizes[n]}, ${memoryFormat}`)
          }
        }
      },
    )
