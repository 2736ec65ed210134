// The passes of the addon: see binding.ts.
import type { NativeRows } from './native-model.js'
import type { NativeValue, TensorHandle } from './native-values.js'

/** How a layer's output becomes [N, C, ...]: see LayerShape in native/core/maps/maps.h. */
export type NativeReshape =
  | { kind: 'tokens'; grid: readonly number[]; skip: number }
  | { kind: 'permute'; order: readonly number[] }
  | { kind: 'custom'; call: (tensor: TensorHandle) => TensorHandle }

export interface PassPlan {
  layers: readonly string[]
  /** Which call of a layer that runs several times, from 0; the last by default. */
  call?: number
  /** Of layers that return several tensors: the path to the one that is explained. */
  part?: readonly (string | number)[]
  /** Which of the model's inputs holds the images; 0 by default. */
  input?: number
  methods?: readonly string[]
  /** False keeps negative values in the maps; true by default. */
  relu?: boolean
  eigenSmooth?: boolean
  /** What each channel adds to a map is given, too. */
  contributions?: boolean
  /** Into how many concepts the activation of the one layer is factorized: then there are no methods. */
  concepts?: number
  /** Min-max normalised maps, upsampled to the size of the input. */
  inputSize?: boolean
  aggregate?: 'each' | 'mean' | 'max' | 'product'
  reshape?: NativeReshape | undefined
  seed?: number
  /** Copies of images that run at a time, where a method runs the model again; 32 by default. */
  chunkSize?: number
  /** Of methods that run the model several times: see CamOptions. */
  samples?: number
  sigma?: number
  steps?: number
  /** The value of every element of the input where the straight line to it begins; 0 by default. */
  lineStart?: number
  /** The layer whose output the target is of, in place of the model's. */
  scoreLayer?: string
  /** FullGrad instead of maps of layers: the layers are all that may have a bias, and inputGradient is true. */
  fullGrad?: boolean
  /** The attention matrices and the gradients there: inputGradient is true, and there are no layers. */
  attention?: boolean
  /** No layers and no gradient: `explain` and `backward` find the classes and scores, and the model runs without a graph. */
  scoresOnly?: boolean
  inputGradient: boolean
  guided: 'none' | 'modules' | 'all'
  execution?: 'auto' | 'split' | 'hooked'
  /** The dtype of the part before the first layer; the model's own by default. */
  precision?: 'bfloat16' | 'float16'
  reluRule?: 'guided' | 'deconvnet'
  /** The baseline of DeepLIFT: expanded to the input. */
  baseline?: TensorHandle
  /** Relevance in place of the gradient at the input: inputGradient is true. */
  relevance?: NativeComposite
}

/** A rule of relevance: see Rule in native/core/relevance/rule.h. */
export interface NativeRule {
  rule: string
  epsilon?: number
  gamma?: number
  alpha?: number
  beta?: number
  low?: TensorHandle
  high?: TensorHandle
}

/** Which rule each layer follows: see Composite in native/core/relevance/rule.h. */
export interface NativeComposite {
  first?: NativeRule
  convolution: NativeRule
  linear: NativeRule
  epsilon?: number
}

/** The result of a forward in a pass. */
export interface NativeForward {
  output: NativeValue
  /** ReLUs that follow the rule, nonlinearities that follow DeepLIFT's, or layers and sums that follow LRP's. */
  intercepted: number
  /** Why it ran hooked; empty where it ran split. */
  whyHooked: string
  /** What LibTorch and the model warned of, where they did. */
  warnings?: readonly string[]
}

/** See Target in native/core/targets/target.h. Without classes it is the top class. */
export interface NativeTarget {
  classes?: readonly number[] | undefined
  score?: 'logit' | 'probability' | 'difference' | 'finer' | 'mask' | 'box' | 'element'
  sign?: number | undefined
  path?: readonly (string | number)[] | undefined
  against?: readonly number[] | undefined
  nearest?: number
  alpha?: number
  mask?: TensorHandle
  /** Of kind box: see BoxTarget in native/core/targets/target_box.h. The parts are boxes, labels and scores. */
  boxes?: TensorHandle
  labels?: TensorHandle | undefined
  iou?: number
  mayMiss?: boolean
  parts?: readonly (string | number)[]
  /** The dimension that counts the images; 0 by default. */
  imageDim?: number | undefined
  /** Of kind element: a step for each other dimension. */
  at?: readonly (number | 'sum' | 'mean' | 'max')[]
}

/**
 * One map, and for each image whether it is zero everywhere, holds NaN or an infinity, or has one value within rounding before
 * it is normalised; and whether no changed channel gave another score, empty for methods that change none.
 */
export interface NativeMap {
  map: TensorHandle
  /** Null where the plan does not ask for it. */
  contribution: TensorHandle | null
  allZero: boolean[]
  nonFinite: boolean[]
  constant: boolean[]
  sameScores: boolean[]
}

export interface NativeExplained {
  /** The class explained per image; empty where the score came from the caller, or was not needed and is none. */
  classes: number[]
  /** The path to the part of the output that was taken, where the target names none and the output is not one tensor. */
  of: (string | number)[]
  scores: number[]
  /**
   * The activation and gradient are null after `explain`, which frees them; after a backward the gradient is null where no
   * method needs one.
   */
  layers: {
    shape: number[]
    calls: number
    /** Per image, what is zero or not finite; empty where every map of the pass says something. */
    zeroActivation: boolean[]
    zeroGradient: boolean[]
    /** Per image, whether it adds up to zero over space in every channel; empty where it does in none, or no method averages it. */
    cancelledGradient: boolean[]
    nonFinite: boolean[]
    activation: TensorHandle | null
    gradient: TensorHandle | null
  }[]
  /** By method, then by layer; or a single one of all layers. Empty for a method that failed. */
  maps: NativeMap[][]
  /** By method: what kept it from its maps. A pass of which all methods fail rejects. */
  failures: (Error | null)[]
  inputGradient: TensorHandle | null
  fullGrad: TensorHandle | null
  /** [N, heads, T, T], in the order in which they were computed; empty unless the plan asks for them. */
  attention: { weights: TensorHandle; gradient: TensorHandle }[]
  /** Where the plan asks for concepts: [K, C], [N, K, ...], and [K, classes] or why there are none. */
  factors: {
    concepts: TensorHandle
    maps: TensorHandle
    scores: TensorHandle | null
    noScores: Error | null
  } | null
  /** What LibTorch and the model warned of, where they did. */
  warnings?: readonly string[]
  /** What the model's probe found, where there was one. */
  rows: NativeRows | null
}

export interface PassHandle {
  forward(inputs: readonly NativeValue[], ticket: number): Promise<NativeForward & { kept: NativeValue }>
  backward(
    target: readonly number[] | NativeTarget | TensorHandle | undefined,
    ticket: number,
  ): Promise<NativeExplained>
  explain(
    inputs: readonly NativeValue[],
    target: readonly number[] | NativeTarget | undefined,
    ticket: number,
  ): Promise<NativeExplained & NativeForward>
  /** Finds out once per model whether a row of a batch comes out as its image does alone. */
  probe(inputs: readonly NativeValue[], ticket: number): Promise<NativeRows>
  /** Another pass of the same plan, which shares the split model. */
  fork(): PassHandle
  dispose(): void
}
