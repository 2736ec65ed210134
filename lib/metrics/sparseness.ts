import type { Tensor } from '../tensor/tensor.js'
import { on } from './executor.js'
import { magnitudes } from './maps.js'
import { Metric, type Measured, type MetricBatch } from './metric.js'

/**
 * The Gini index of the map: of its P absolute values in ascending order, a_1 to a_P, the sum of (2 k - P - 1) a_k, divided by
 * P times the sum of a_k. From 0, where all are equal, to 1 - 1 / P, where one of them has all: more is better. A map of zeros
 * counts as any other constant one and has the value 0. A map [N, 1, h, w] is upsampled to the image; attributions
 * [N, C, H, W] are taken as they are. The model is not run. Chalasani et al. 2020, "Concise Explanations of Neural Networks
 * using Adversarial Training", arXiv:1810.06583.
 */
export class Sparseness extends Metric {
  protected async measure(input: Tensor, maps: Tensor, { signal }: MetricBatch): Promise<readonly Measured[]> {
    using values = await magnitudes(maps, input, signal)
    const count = values.shape[1] as number
    const [sorted, order] = (await on(signal).sort(values, 1, false)) as unknown as [Tensor, Tensor]
    order.dispose()
    using ascending = sorted
    using weights = await on(signal).arange(1 - count, count, 2, { dtype: 'float64', device: values.device })
    using weighted = await on(signal).matmul(ascending, weights)
    using sums = await on(signal).sum(values, [1])
    const totals = sums.toTypedArray() as Float64Array
    return Array.from(weighted.toTypedArray() as Float64Array, (sum, image) => {
      const total = totals[image] as number
      return { value: total > 0 ? sum / (count * total) : 0 }
    })
  }
}
