import { reference, type Reference, type ReferenceCase, type ReferenceJob } from './reference.js'

/** One small net of test/python with the layers and the scores to explain on it. */
export interface SmallNetCase {
  readonly net: string
  /** Layers for one Grad-CAM, all in one pass. */
  readonly layers: readonly string[]
  /** A class for each image of the batch, or the sum of all outputs. */
  readonly target: number[] | 'sum'
  /** Which part of the output holds the scores, where it is not one tensor. */
  readonly output?: number | string
  /** A layer that runs several times in one pass: its last call counts. */
  readonly repeated?: boolean
  /** With this seed no expected map is all zero; 0 unless said otherwise. */
  readonly seed?: number
  /** Why the model cannot be split at these layers; without it, it can. */
  readonly hooked?: RegExp
}

export const smallNetCases: readonly SmallNetCase[] = [
  { net: 'plain', layers: ['features'], target: [0, 1] },
  { net: 'plain_double', layers: ['features'], target: [1, 2] },
  { net: 'in_place_relu_after', layers: ['features'], target: [0, 1] },
  { net: 'every_kind_of_relu', layers: ['c', 'e', 'f'], target: [0, 1], seed: 3 },
  { net: 'functional_relu_only', layers: ['a', 'b'], target: [0, 1] },
  { net: 'relu6', layers: ['features'], target: [0, 1] },
  { net: 'shared_gradients', layers: ['norm', 'bare'], target: [0, 1] },
  { net: 'in_place_on_input', layers: ['features'], target: [0, 1] },
  { net: 'relu_free', layers: ['features'], target: [0, 1] },
  { net: 'called_twice', layers: ['shared'], target: [3, 0], repeated: true, hooked: /in 2 places/ },
  { net: 'siblings', layers: ['second', 'third'], target: [0, 1] },
  { net: 'regression_column', layers: ['features'], target: 'sum' },
  { net: 'regression_flat', layers: ['inner.features'], target: 'sum' },
  { net: 'segmentation', layers: ['features'], target: 'sum' },
  { net: 'tuple_output', layers: ['features'], target: [0, 1], output: 0 },
  { net: 'list_output', layers: ['features'], target: [0, 1], output: 0 },
  { net: 'dict_output', layers: ['features'], target: [0, 1], output: 'out' },
  { net: 'named_tuple_output', layers: ['features'], target: [0, 1], output: 0 },
  { net: 'control_flow', layers: ['chosen'], target: [0, 1] },
  { net: 'control_flow', layers: ['step'], target: [0, 1], repeated: true, hooked: /control flow/ },
  { net: 'multi_input', layers: ['features'], target: [0, 1] },
  { net: 'dense', layers: ['stem'], target: [0, 1] },
  { net: 'dense', layers: ['layer2', 'layer3', 'layer2.conv1'], target: [2, 3] },
  { net: 'dense', layers: ['norm'], target: [2, 4] },
  { net: 'residual', layers: ['blocks.1.conv1', 'blocks.1'], target: [0, 1] },
  { net: 'viewed', layers: ['features'], target: [0, 1] },
  { net: 'two_ways', layers: ['first.conv', 'second.conv', 'third.conv', 'fourth.conv'], target: [0, 1] },
  { net: 'branches', layers: ['left', 'right'], target: [0, 1], hooked: /does not depend on the first/ },
]

/** Of a net of which the usual images leave a gate undecided in float32: images that do not, see test/python/gates.py. */
const inputSeeds: Readonly<Record<string, readonly number[]>> = { dense: [2, 5], residual: [1, 3] }

/** Name under which a case's Grad-CAM stands in the reference. */
export const gradCamCase = ({ layers }: SmallNetCase): string => `gradcam ${layers.join(' ')}`

/** What eager PyTorch says of all of them: the maps, and guided backprop in both scopes where the net has a ReLU. */
export function smallNetReference(): Promise<Reference> {
  const job: ReferenceJob = {}
  for (const small of smallNetCases) {
    const { target, layers, repeated, seed = 0 } = small
    const output = small.output === undefined ? {} : { output: small.output }
    const cases: Record<string, ReferenceCase> = {
      [gradCamCase(small)]: repeated
        ? { method: 'gradcam_last_call', layer: layers[0]!, target, ...output }
        : { method: 'gradcam', layers: [...layers], target, ...output },
      guided_all: { method: 'guided', scope: 'all', target, ...output },
      guided_modules: { method: 'guided', scope: 'modules', target, ...output },
      ...job[small.net]?.cases, // guided backprop, which knows no layers, is that of the first
    }
    job[small.net] = { seed, input_seed: inputSeeds[small.net] ?? 1, decided: true, cases }
  }
  return reference('small-net-parity', job)
}
