import { callOperatorAsync } from '../tensor/dispatch.js'
import { operators } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import { checkFeatures, everyElement, likeInput, numbersOf } from './features.js'
import { checkExpands, replaceWhere, type Baseline, type Perturbation } from './perturbation.js'
import { WeightedMasks } from './weighted-masks.js'

/** The settings of feature ablation. */
export interface FeatureAblationOptions {
  /**
   * Which elements are removed together: those with the same integer. A tensor of integers that can be expanded to the
   * input, so with a batch of 1 or N, e.g. [1, 1, H, W] for superpixels. By default every element is a feature by itself,
   * which for an image is as many runs as it has pixels and channels.
   */
  readonly features?: Tensor
  /** Their value when removed: a number (0 by default), or a tensor that can be expanded to the input. */
  readonly baseline?: Baseline
}

/** The integers that a feature mask has, and the mask as int64 with as many dimensions as the input. */
export function readFeatures(x: Tensor, features: Tensor | undefined): { ids: BigInt64Array; mask: Tensor } {
  if (features !== undefined) checkFeatures(features, x.shape)
  const mask = features === undefined ? everyElement(x) : likeInput(features, x)
  return { ids: numbersOf(mask.toTypedArray() as BigInt64Array), mask }
}

/**
 * f(x) - f(x without the feature), for each element of the feature: Captum's FeatureAblation. The caller disposes what it
 * returns.
 */
export function featureAblation(x: Tensor, options: FeatureAblationOptions): Perturbation & Disposable {
  const { features, baseline = 0 } = options
  if (baseline instanceof Tensor) checkExpands(baseline, x.shape, 'baseline')
  const { ids, mask } = readFeatures(x, features)
  return {
    count: ids.length,
    accumulate: () => new WeightedMasks({ divisor: 1, weight: (score, without) => score - without }),
    masks: async (from, to, call) => {
      const shape = [to - from, ...x.shape.map(() => 1)]
      using chosen = Tensor.from(ids.slice(from, to), shape, { device: x.device })
      return await callOperatorAsync(operators.eq, [mask, chosen], call)
    },
    apply: (input, masks, call) => replaceWhere(input, masks, baseline, call),
    [Symbol.dispose]: () => mask.dispose(),
  }
}
