import { expect } from '../base/check.js'
import type { Model } from '../model/model.js'
import type { Tensor } from '../tensor/tensor.js'
import { checkBoxes, pixelsOf } from './boxes.js'
import { on } from './executor.js'
import { areVaried, upsampled } from './maps.js'
import { Metric, type Measured, type MetricBatch, type MetricOptions } from './metric.js'
import { RelevanceMassAccuracy } from './relevance-mass.js'

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
    const pointing = await areVaried(large, signal)
    return Array.from(peaks.toTypedArray() as BigInt64Array, (peak, image) => {
      const inside = pixelsOf(perImage[image] as (typeof perImage)[number], height, width, this.#tolerance)
      return { value: pointing[image] ? (inside[Number(peak)] as number) : 0 }
    })
  }
}

/**
 * {@link RelevanceMassAccuracy} under the name that it has for boxes: the share of the map's mass that lies in the boxes of the
 * image. Wang et al. 2020, "Score-CAM", arXiv:1910.01279, section 4.3.
 */
export class EnergyPointingGame extends RelevanceMassAccuracy {}
