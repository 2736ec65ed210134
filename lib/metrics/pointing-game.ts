import { expect } from '../base/check.js'
import type { Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import { checkBoxes, pixelsOf } from './boxes.js'
import { on } from './executor.js'
import { upsampled } from './maps.js'
import { Metric, type Measured, type MetricBatch, type MetricOptions } from './metric.js'

export interface PointingGameOptions extends MetricOptions {
  /** How many pixels beside the box still count; 0 by default, 15 in the paper's experiments. */
  readonly tolerance?: number
}

/**
 * 1 where the highest pixel of the map lies in a box of the image, else 0; its mean is the share of hits: more is better.
 * Of equal pixels the first in row-major order points; a constant map points nowhere and is a miss. Zhang et al. 2018,
 * "Top-down Neural Attention by Excitation Backprop", arXiv:1608.00507.
 */
export class PointingGame extends Metric {
  readonly #tolerance: number

  constructor(model: Model, options: PointingGameOptions = {}) {
    super(model, options)
    const { tolerance = 0 } = expect.options(options)
    this.#tolerance = expect.number('tolerance', tolerance, { min: 0 })
  }

  protected async measure(input: Tensor, maps: Tensor, { boxes, signal }: MetricBatch): Promise<readonly Measured[]> {
    const [images = 0, , height = 0, width = 0] = input.shape
    const perImage = checkBoxes(boxes, images)
    using large = await upsampled(maps, input, signal)
    using flat = await on(signal).flatten(large, 1)
    using peaks = await on(signal).argmax(flat, 1)
    using high = await on(signal).amax(flat, [1])
    using low = await on(signal).amin(flat, [1])
    using varied = await on(signal).gt(high, low)
    const pointing = varied.toTypedArray()
    return Array.from(peaks.toTypedArray() as BigInt64Array, (peak, image) => {
      const inside = pixelsOf(perImage[image] as (typeof perImage)[number], height, width, this.#tolerance)
      return { value: pointing[image] ? (inside[Number(peak)] as number) : 0 }
    })
  }
}

/**
 * The share of the map's mass that lies in the boxes of the image, between 0 and 1: more is better. Negative values count as
 * 0, and a map without positive ones has the value 0. Wang et al. 2020, "Score-CAM", arXiv:1910.01279, section 4.3.
 */
export class EnergyPointingGame extends Metric {
  protected async measure(input: Tensor, maps: Tensor, { boxes, signal }: MetricBatch): Promise<readonly Measured[]> {
    const [images = 0, , height = 0, width = 0] = input.shape
    const perImage = checkBoxes(boxes, images)
    using large = await upsampled(maps, input, signal)
    using positive = await on(signal).relu(large)
    using exact = await on(signal).to(positive, large.device, 'float64')
    const inside = new Uint8Array(images * height * width)
    perImage.forEach((of, image) => inside.set(pixelsOf(of, height, width), image * height * width))
    using mask = Tensor.from(inside, [images, 1, height, width], { device: large.device })
    using within = await on(signal).mul(exact, mask)
    using part = await on(signal).sum(within, [1, 2, 3])
    using whole = await on(signal).sum(exact, [1, 2, 3])
    const totals = whole.toTypedArray() as Float64Array
    return Array.from(part.toTypedArray() as Float64Array, (value, image) => {
      const total = totals[image] as number
      return { value: total > 0 ? value / total : 0 }
    })
  }
}
