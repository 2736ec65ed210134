import type { Tensor } from '../tensor/tensor.js'
import { on } from './executor.js'
import { areVaried, ranksOf, upsampled } from './maps.js'
import { Metric, type Measured, type MetricBatch } from './metric.js'
import { regionsOf } from './regions.js'

/**
 * Of the K most relevant pixels the share that lies in the masks or boxes of the image, which have K pixels. Between 0 and 1:
 * more is better. Of equal pixels the first in row-major order comes first. A constant map has no order and the value 0, as
 * has a box that lies beside the image. The model is not run. Arras et al. 2022, "CLEVR-XAI: a benchmark dataset for the
 * ground truth evaluation of neural network explanations", arXiv:2003.07258.
 */
export class RelevanceRankAccuracy extends Metric {
  protected async measure(input: Tensor, maps: Tensor, batch: MetricBatch): Promise<readonly Measured[]> {
    const { signal } = batch
    using inside = await regionsOf(batch, input)
    using large = await upsampled(maps, input, signal)
    using ranks = await ranksOf(large, signal)
    using pixels = await on(signal).sum(inside, [1, 2, 3], true)
    using first = await on(signal).lt(ranks, pixels)
    using hit = await on(signal).logicalAnd(first, inside)
    using hits = await on(signal).sum(hit, [1, 2, 3])
    const varied = await areVaried(large, signal)
    const counts = Array.from(pixels.toTypedArray(), Number)
    return Array.from(hits.toTypedArray(), Number).map((count, image) => ({
      value: varied[image] && counts[image] ? count / counts[image] : 0,
    }))
  }
}
