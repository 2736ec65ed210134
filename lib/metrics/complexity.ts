import type { Tensor } from '../tensor/tensor.js'
import { on } from './executor.js'
import { magnitudes } from './maps.js'
import { Metric, type Measured, type MetricBatch } from './metric.js'

/**
 * The entropy of the map: -sum(p_i ln p_i), where p_i is the share that the absolute value of element i has of the sum of all
 * P. From 0, where one element has all, to ln P, where all are equal: less is better. A map of zeros counts as any other
 * constant one and has the value ln P. A map [N, 1, h, w] is upsampled to the image; attributions [N, C, H, W] are taken as
 * they are. The model is not run. Bhatt et al. 2020, "Evaluating and Aggregating Feature-based Model Explanations",
 * arXiv:2005.00631.
 */
export class Complexity extends Metric {
  protected async measure(input: Tensor, maps: Tensor, { signal }: MetricBatch): Promise<readonly Measured[]> {
    using values = await magnitudes(maps, input, signal)
    using sums = await on(signal).sum(values, [1], true)
    using empty = await on(signal).eq(sums, 0)
    using filled = await on(signal).maskedFill(values, empty, 1)
    using totals = await on(signal).sum(filled, [1], true)
    using shares = await on(signal).div(filled, totals)
    // 0 ln 0 is 0: a share of 0 is multiplied by the logarithm of something else.
    using above = await on(signal).clamp(shares, 1e-300)
    using logarithms = await on(signal).log(above)
    using products = await on(signal).mul(shares, logarithms)
    using entropy = await on(signal).sum(products, [1])
    return Array.from(entropy.toTypedArray() as Float64Array, (value) => ({ value: Math.max(0, -value) }))
  }
}
