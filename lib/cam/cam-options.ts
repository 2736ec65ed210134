import type { ExecutionOptions } from '../explain/execution.js'
import type { ExplainOptions } from '../explain/explained.js'
import type { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'
import type { CamMethod } from './cam-methods.js'
import type { Reshape } from './reshape.js'

/** The form of a map: see {@link CamOptions.compat}. */
export type CamCompat = 'paper' | 'pytorch-grad-cam' | 'captum'

/** How the maps of several layers become one. */
export type CamAggregate = 'each' | 'mean' | 'max' | 'product'

export interface CamOptions extends ExecutionOptions {
  /** Paths of target layers; `model.namedModules()` lists them, {@link suggestLayers} proposes some. */
  readonly layers: readonly string[]
  /** The maps to make of each layer, all from one pass; Grad-CAM by default. */
  readonly methods?: readonly CamMethod[]
  /**
   * The form of the maps.
   * - 'paper' (the default): max(., 0) of the formula, [N, 1, h, w] in the layer's own size, not normalised. Nothing is
   *   lost, and maps of one layer can be compared between images, classes and methods.
   * - 'pytorch-grad-cam': [N, 1, H, W] in [0, 1]: each map min-max normalised with 1e-7, upsampled bilinearly to the size of
   *   the input, combined over layers ('mean' unless `aggregate` is given), and min-max normalised again.
   * - 'captum': as the formula gives it, with negative values, in the layer's own size.
   */
  readonly compat?: CamCompat
  /**
   * 'each' (the default): a map per layer. Otherwise one map of all layers, which are first brought to one scale and size
   * as pytorch-grad-cam does, whatever `compat` is. 'product' is RefineCAM's (arXiv:2605.14641): there each map is min-max
   * normalised again before they are multiplied.
   */
  readonly aggregate?: CamAggregate
  /**
   * The first principal component over channels instead of their sum, for the methods that sum; less noisy. Unlike
   * pytorch-grad-cam's its sign is defined: on the side of the sum.
   */
  readonly eigenSmooth?: boolean
  /**
   * Whether what each channel adds to a map is kept, too: `contribution` of the explanation. False by default: it takes as much
   * memory as the layer's output, for each method. Not where maps are aggregated.
   */
  readonly contributions?: boolean
  /** For layers that return something else than [N, C, h, w], such as a transformer's tokens. */
  readonly reshape?: Reshape
  /**
   * Of layers that return several tensors in a tuple, list or dict: the path to the one that is explained, e.g. 0, 'out' or
   * [1, 'features']. It is left out where the layer returns one tensor, or one and values of other kinds.
   */
  readonly part?: string | number | readonly (string | number)[]
  /**
   * Which call of a layer that runs several times in a pass is explained, from 0; the last by default. Methods that run
   * the model again require it for such a layer.
   */
  readonly call?: number
  /**
   * Which of the model's inputs holds the images, from 0, where there are several: its size is that of the maps of
   * `compat: 'pytorch-grad-cam'`, and Score-CAM masks it. The first by default.
   */
  readonly input?: number
  /** Of what is random; the same seed gives the same maps. An integer from 0 on, 0 by default. */
  readonly seed?: number
  /**
   * How many noisy copies of the input Smooth Grad-CAM++ takes (4 by default), and how many versions of each mask SS-CAM and
   * IS-CAM (10).
   */
  readonly samples?: number
  /**
   * The standard deviation of the noise: of Smooth Grad-CAM++ in the units of the input (0.3 by default), of SS-CAM in those
   * of a mask in [0, 1] (2).
   */
  readonly sigma?: number
  /**
   * The steps of internal influence and conductance on the line to the input, and of layer integrated gradients on that to what the
   * layer returns for it; 50 by default, 10,000 at most.
   */
  readonly steps?: number
  /** The value of every element of the baseline: where that line begins, or what layer DeepLIFT compares with; 0 by default. */
  readonly baseline?: number
  /**
   * For methods that change the image or the layer once per channel, how many copies of an image run at a time: more take more memory, and the result does
   * not depend on it beyond rounding: a model for which it would, as a first probe shows, runs them one by one. Fewer where
   * memory runs out. 32 by default.
   */
  readonly chunkSize?: number
}

export interface CamExplainOptions<Output extends Value = Tensor> extends ExplainOptions<Output> {
  /**
   * The mean over six passes: the image and its mirror image, each multiplied by 0.9, 1 and 1.1, as pytorch-grad-cam's
   * aug_smooth. The top class is that of the unchanged image, which is what output, targets and scores are of. The only
   * input must be a tensor [N, C, H, W].
   */
  readonly augment?: boolean
}
