import { callOperatorAsync } from '../tensor/dispatch.js'
import { invalid } from '../base/check.js'
import { operators } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { checkExpands, replaceWhere, type Baseline, type Perturbation } from './perturbation.js'

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
function readFeatures(x: Tensor, features: Tensor | undefined): { ids: BigInt64Array; mask: Tensor } {
  const rank = x.shape.length
  if (features === undefined) {
    const elements = x.shape.slice(1).reduce((product, size) => product * size, 1)
    const ids = BigInt64Array.from({ length: elements }, (_, i) => BigInt(i))
    return { ids, mask: Tensor.from(ids, [1, ...x.shape.slice(1)], { device: x.device }) }
  }
  if (!(features instanceof Tensor) || /float/.test(features.dtype))
    throw invalid('features', 'a Tensor of integers: elements with the same one are removed together', features, {
      code: 'ERR_DTYPE',
    })
  checkExpands(features, x.shape, 'feature mask')
  const shape = [...Array<number>(rank - features.shape.length).fill(1), ...features.shape]
  const mask = tidy(() => features.to({ dtype: 'int64', device: x.device }).reshape(shape).clone())
  const ids = [...new Set(mask.toTypedArray() as BigInt64Array)].sort((a, b) => (a < b ? -1 : 1))
  return { ids: BigInt64Array.from(ids), mask }
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
    divisor: 1,
    weight: (score, without) => score - without,
    masks: async (from, to, call) => {
      const shape = [to - from, ...x.shape.map(() => 1)]
      using chosen = Tensor.from(ids.slice(from, to), shape, { device: x.device })
      return await callOperatorAsync(operators.eq, [mask, chosen], call)
    },
    apply: (input, masks, call) => replaceWhere(input, masks, baseline, call),
    [Symbol.dispose]: () => mask.dispose(),
  }
}
