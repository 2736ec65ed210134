import { camMethods, type CamMethod, type CamMethodFacts } from '../cam/cam-methods.js'
import type { CamOptions } from '../cam/cam-options.js'
import type { Reshape } from '../cam/reshape.js'
import type { Execution } from '../explain/execution.js'
import type { ReducedPrecision } from '../explain/precision-choice.js'
import { inputMethods } from '../attribution/input-attribution.js'
import { compositeNames, type CompositeName, type RelevanceRules } from '../attribution/composites.js'
import type { Smoothing } from '../attribution/smoothing.js'
import type { Value } from '../tensor/values.js'
import { methodNames, methods, type MethodName } from './table.js'

/** Settings of methods besides the target. Each method uses those that it takes: see {@link methodOptions}. */
export interface MethodSettings {
  readonly execution?: Execution
  readonly precision?: ReducedPrecision | 'auto'
  readonly precisionError?: number
  readonly eigenSmooth?: boolean
  readonly chunkSize?: number
  /** For layers that do not return [N, C, h, w]. */
  readonly reshape?: Reshape
  /** For layers that return several tensors: see `CamOptions.part`. */
  readonly part?: NonNullable<CamOptions['part']>
  /** For layers that run several times in a pass: see `CamOptions.call`. */
  readonly call?: number
  readonly seed?: number
  readonly steps?: number
  readonly samples?: number
  readonly sigma?: number
  readonly smooth?: Smoothing
  /** For each spatial dimension: [height, width], [depth, height, width] of volumes, [length] of signals; a number is for all. */
  readonly window?: number | readonly number[]
  readonly stride?: number | readonly number[]
  readonly masks?: number
  readonly segments?: number
  /** See `AttentionMapOptions`. */
  readonly tokens?: readonly [rows: number, columns: number]
  readonly skip?: number
  readonly blocks?: readonly string[]
  readonly baseline?: number
  readonly maxSigma?: number
  readonly fraction?: number
  readonly maxDistance?: number
  /** See `InputAttributionOptions.scoreLayer`. */
  readonly scoreLayer?: string
  /** See `InputAttributionOptions`. */
  readonly composite?: CompositeName | RelevanceRules
  readonly low?: number | readonly number[]
  readonly high?: number | readonly number[]
  /** All inputs of a model that takes several, in order, with null where the images go. */
  readonly inputs?: readonly Value[]
}

/** Settings of one method of a batch, whose layer, other inputs and precision are options of their own. */
export type BatchMethodSettings = Omit<
  MethodSettings,
  'execution' | 'precision' | 'precisionError' | 'reshape' | 'part' | 'call' | 'inputs'
>

/** An option of some of the methods, as help and docs show it. */
export interface MethodOption {
  /** The methods that take it. */
  readonly of: readonly MethodName[]
  /** What it is by default. */
  readonly otherwise: string
  readonly help: string
  /** What its value is called on the command line, where it can be given there as --NAME; '' where it is a flag. */
  readonly flag?: string
}

const where = (test: (name: MethodName) => boolean): readonly MethodName[] => methodNames.filter(test)
const cams = where((name) => methods[name].by === 'Cam')
const rows: Readonly<Record<CamMethod, CamMethodFacts>> = camMethods
const isPrincipal = (name: MethodName): boolean => name in rows && rows[name as CamMethod].principal === true
/** The methods of layers that take an option which only some take. */
const taking = (option: NonNullable<CamMethodFacts['takes']>[number]): readonly MethodName[] =>
  cams.filter((name) => rows[name as CamMethod].takes?.includes(option))
const ofFeatures = ['lime', 'kernel-shap', 'shapley-sampling'] as const satisfies readonly MethodName[]
const ruled: readonly MethodName[] = ['guided-backprop', 'deconvnet', 'guided-gradcam']

/** By their names in the options of the classes; those of SmoothGrad are inside `smooth` there. */
export const methodOptions = {
  layers: { of: cams, otherwise: 'to be given', help: 'paths of the layers to look at' },
  layer: { of: ['guided-gradcam'], otherwise: 'to be given', help: 'the path of the layer to look at' },
  compat: { of: cams, otherwise: "'paper'", help: 'in whose form the map comes' },
  aggregate: { of: cams, otherwise: "'each'", help: 'how the maps of several layers become one' },
  reshape: {
    of: [...cams, 'guided-gradcam'],
    otherwise: 'none',
    help: "'vit', 'swin' and the like, for layers that do not return [N, C, h, w]",
  },
  part: {
    of: [...cams, 'guided-gradcam'],
    otherwise: 'none',
    help: 'which tensor of a layer that returns several, by name or position, or a JSON array of them',
    flag: 'NAME|N',
  },
  call: {
    of: [...cams, 'guided-gradcam'],
    otherwise: 'the last',
    help: 'which call of a layer that runs several times in a pass, counted from 0',
    flag: 'N',
  },
  eigenSmooth: {
    of: cams.filter((name) => !isPrincipal(name)),
    otherwise: 'false',
    help: 'the first principal component over channels in place of their sum',
  },
  chunkSize: {
    of: cams.filter((name) => ['model', 'tail'].includes(rows[name as CamMethod].reruns ?? '')),
    otherwise: '32',
    help: 'how many copies of an image run at a time',
  },
  mode: { of: ['guided-gradcam'], otherwise: "'bilinear'", help: 'how the map is enlarged' },
  scope: { of: ruled, otherwise: "'all'", help: "which ReLUs follow the rule: all, or 'modules' alone" },
  baseline: {
    of: [
      ...(['integrated-gradients', 'deeplift', 'gradient-shap', 'deeplift-shap', 'guided-ig'] as const),
      ...(['occlusion', 'feature-ablation', 'lime', 'kernel-shap', 'shapley-sampling'] as const),
      ...taking('baseline'),
    ],
    otherwise: '0',
    help: 'what stands for nothing: a number, or in TypeScript a tensor that can be expanded to the input',
    flag: 'V',
  },
  steps: {
    of: ['integrated-gradients', 'gradient-shap', 'blur-ig', 'guided-ig', 'xrai', ...taking('steps')],
    otherwise: '50',
    help: 'points on the way from the baseline (5 for GradientSHAP, 100 for blur IG, 200 for guided IG)',
    flag: 'N',
  },
  maxSigma: {
    of: ['blur-ig'],
    otherwise: '50',
    help: 'the deviation of the blur at the end of the path, in pixels',
    flag: 'S',
  },
  fraction: { of: ['guided-ig'], otherwise: '0.25', help: 'the share of the elements that go on at a time', flag: 'F' },
  maxDistance: {
    of: ['guided-ig'],
    otherwise: '0.02',
    help: 'how far an element may be from the straight line, as a share of it',
    flag: 'F',
  },
  scoreLayer: {
    of: inputMethods,
    otherwise: "the model's output",
    help: 'the layer whose output the target is of: with the target { kind: "element", at: [...] } one unit of it',
    flag: 'PATH',
  },
  composite: {
    of: ['lrp'],
    otherwise: "'epsilon-plus'",
    help: `which rules layers follow: ${compositeNames.join(', ')}; in TypeScript and JSON also the rules themselves`,
    flag: 'NAME',
  },
  low: {
    of: ['lrp'],
    otherwise: 'to be given for epsilon-gamma-box',
    help: 'the least value of the input as the model gets it, or one for each channel',
    flag: 'V[,V...]',
  },
  high: {
    of: ['lrp'],
    otherwise: 'to be given for epsilon-gamma-box',
    help: 'the greatest value, likewise',
    flag: 'V[,V...]',
  },
  smooth: {
    of: inputMethods,
    otherwise: 'none',
    help: 'SmoothGrad: mean (the plain one), squared or variance over noisy copies of the image',
    flag: 'KIND',
  },
  samples: {
    of: [...inputMethods, ...ofFeatures, ...taking('samples')],
    otherwise: '5',
    help:
      'how many noisy copies, or versions of a mask or an image (4 for Smooth Grad-CAM++, 10 for SS-CAM and IS-CAM, 1000 for LIME ' +
      'and KernelSHAP), or orders of the features (25 for Shapley value sampling)',
    flag: 'N',
  },
  sigma: {
    of: [...inputMethods, ...taking('sigma')],
    otherwise: '1',
    help: "the noise's deviation, as the model sees it (0.3 for Smooth Grad-CAM++), or in a mask (2 for SS-CAM)",
    flag: 'S',
  },
  window: {
    of: ['occlusion', 'feature-ablation'],
    otherwise: 'an eighth of the image',
    help: 'what is covered at a time, in pixels; DxHxW for volumes, L for signals, one number for a square or cube',
    flag: 'HxW',
  },
  stride: {
    of: ['occlusion'],
    otherwise: 'half the window',
    help: 'how far the window moves, in the same dimensions',
    flag: 'HxW',
  },
  features: {
    of: ['feature-ablation', ...ofFeatures],
    otherwise: 'every element by itself, or superpixels',
    help: 'which elements are taken away together; gridFeatures makes rectangles, superpixels parts of one colour',
  },
  regions: {
    of: ['xrai'],
    otherwise: "six of Felzenszwalb's segmentations",
    help: 'in TypeScript tensors of integers, each a segmentation of the image that its regions come from',
  },
  segments: { of: ofFeatures, otherwise: '50', help: 'about how many superpixels an image is divided into', flag: 'N' },
  kernelWidth: {
    of: ['lime'],
    otherwise: '0.25',
    help: 'the width of the kernel that gives versions near the image more weight',
  },
  ridge: { of: ['lime'], otherwise: '1', help: 'the weight of the squared coefficients beside the squared errors' },
  tokens: {
    of: where((name) => methods[name].by === 'AttentionMap'),
    otherwise: 'of squares of the image',
    help: 'the grid of the tokens that stand for patches',
    flag: 'HxW',
  },
  skip: {
    of: where((name) => methods[name].by === 'AttentionMap'),
    otherwise: 'what leaves a whole grid',
    help: 'how many tokens before them are not patches: class token, registers',
    flag: 'N',
  },
  blocks: {
    of: ['legrad'],
    otherwise: 'modules of one type side by side',
    help: "the paths of the transformer's blocks, with commas between",
    flag: 'PATHS',
  },
  masks: { of: ['rise'], otherwise: '1000', help: 'how many random masks', flag: 'N' },
  grid: { of: ['rise'], otherwise: '7', help: 'the cells of a mask in each direction' },
  probability: { of: ['rise'], otherwise: '0.5', help: 'the probability that a cell is kept' },
  batchSize: {
    of: where((name) => methods[name].by === 'InputAttribution' || methods[name].by === 'InputPerturbation'),
    otherwise: '16',
    help: 'how many images a pass takes at most; the result does not depend on it',
  },
  seed: {
    of: ['rise', ...ofFeatures, ...inputMethods, ...taking('seed')],
    otherwise: '0',
    help: 'of what is random: the same gives the same image',
    flag: 'N',
  },
} as const satisfies Record<string, MethodOption>

/** The settings that methods have, by name. */
export type MethodOptionName = keyof typeof methodOptions

/** The settings of these keys that are given. */
export function pickSettings<Key extends keyof MethodSettings>(
  settings: MethodSettings,
  keys: readonly Key[],
): Pick<MethodSettings, Key> {
  const given = keys.filter((key) => settings[key] !== undefined).map((key) => [key, settings[key]])
  return Object.fromEntries(given) as Pick<MethodSettings, Key>
}
