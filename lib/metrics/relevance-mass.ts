import type { Tensor } from '../tensor/tensor.js'
import { on } from './executor.js'
import { upsampled } from './maps.js'
import { Metric, type Measured, type MetricBatch } from './metric.js'
import { regionsOf } from './regions.js'

/**
 * The share of the map's mass that lies in the masks or boxes of the image: the sum of the map inside, divided by that of all.
 * Between 0 and 1: more is better. Negative values count as 0, and a map without positive ones has the value 0, as has a box
 * that lies beside the image. The model is not run. Arras et al. 2022, "CLEVR-XAI: a benchmark dataset for the ground truth
 * evaluation of neural network explanations", arXiv:2003.07258.
 */
export class RelevanceMassAccuracy extends Metric {
  protected async measure(input: Tensor, maps: Tensor, batch: MetricBatch): Promise<readonly Measured[]> {
    const { signal } = batch
    using inside = await regionsOf(batch, input)
    using large = await upsampled(maps, input, signal)
    using positive = await on(signal).relu(large)
    using exact = await on(signal).to(positive, large.device, 'float64')
    using within = await on(signal).mul(exact, inside)
    using part = await on(signal).sum(within, [1, 2, 3])
    using whole = await on(signal).sum(exact, [1, 2, 3])
    const totals = whole.toTypedArray() as Float64Array
    return Array.from(part.toTypedArray() as Float64Array, (value, image) => {
      const total = totals[image] as number
      return { value: total > 0 ? value / total : 0 }
    })
  }
}
