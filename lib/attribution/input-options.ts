import type { Bound, CompositeName, RelevanceRules } from './composites.js'
import type { Tensor } from '../tensor/tensor.js'
import type { InputMethod } from './input-method.js'
import type { Smoothing } from './smoothing.js'

/** What `InputAttribution` has to be told: the method, and its settings. */
export interface InputAttributionOptions {
  readonly method: InputMethod
  /** For guided-backprop and deconvnet, see {@link GuidedBackpropOptions}. 'all' by default. */
  readonly scope?: 'all' | 'modules'
  /**
   * For integrated gradients, deeplift and guided-ig: a number for every element (0 by default), or a tensor that can be
   * expanded to the input. For gradient-shap and deeplift-shap a number, or a tensor [B, ...] of B baselines, each of which
   * can be expanded to an image.
   */
  readonly baseline?: number | Tensor
  /**
   * How many points there are on a path, 10,000 at most. By default 50 for integrated gradients, 5 for gradient-shap (each at
   * random), 100 for blur-ig, 200 for guided-ig, 50 for each of the two baselines of xrai.
   */
  readonly steps?: number
  /**
   * Of the points of gradient-shap, which are the same for all images: an integer from 0 on, 0 by default. The result does not depend
   * on `batchSize`, nor on the other images of the batch.
   */
  readonly seed?: number
  /** For blur-ig: the deviation of the Gaussian at the blurred end, in pixels; 50 by default. */
  readonly maxSigma?: number
  /** For guided-ig: the share of the elements, those with the least gradients, that go on at a time; 0.25 by default. */
  readonly fraction?: number
  /**
   * For guided-ig: how far an element may be from the straight line, as a share of it; 0.02 by default. 0 is the straight
   * line, 1 any path.
   */
  readonly maxDistance?: number
  /**
   * For xrai: segmentations of the image that its regions come from, each a tensor of integers that can be expanded to [N, 1, H, W]:
   * a region is what has the same integer. They are taken as they are. By default six segmentations, see {@link felzenszwalb}.
   */
  readonly regions?: readonly Tensor[]
  /** For lrp: the name of a usual combination of rules, or the rules. 'epsilon-plus' by default. */
  readonly composite?: CompositeName | RelevanceRules
  /** For lrp with the z-box rule, as in 'epsilon-gamma-box': the least value that the input can have, as the model gets it. */
  readonly low?: Bound
  /** The greatest value, likewise. */
  readonly high?: Bound
  readonly smooth?: Smoothing
  /**
   * The layer whose output the target is of, in place of the model's. With the target `{ kind: 'element', at: [5, 3, 4] }` that is
   * one unit of it: channel 5 at row 3 and column 4. The last call of the layer counts.
   */
  readonly scoreLayer?: string
  /** Which of the model's inputs the attribution is of, from 0, where there are several. The first by default. */
  readonly input?: number
  /**
   * How many images a pass takes at most, where noisy copies and steps are batched; 16 by default, and never less than the
   * batch itself; fewer where memory runs out. The result does not depend on it: a model for which it would, as a first probe
   * shows, takes one copy per pass. So do models with several inputs, and targets that are functions or have a mask per image.
   */
  readonly batchSize?: number
}
