import { expect } from '../base/check.js'
import type { Model } from '../model/model.js'
import type { Tensor } from '../tensor/tensor.js'
import { baselineOf, checkBaseline, type MetricBaseline } from './baseline.js'
import { scoreCopies, type Copy } from './copies.js'
import { on } from './executor.js'
import { ranksOf, upsampled } from './maps.js'
import { Metric, mostPoints, type Measured, type MetricBatch, type MetricOptions } from './metric.js'

export interface InsertionDeletionOptions extends MetricOptions {
  /** In how many steps of equally many pixels; 20 by default. */
  readonly steps?: number
  /** The value of pixels that are not in the image; 'zeros' for deletion and 'blurred' for insertion by default, as in the paper. */
  readonly baseline?: MetricBaseline
}

/**
 * The score while pixels are exchanged with the baseline, the most relevant first, and the area under that curve.
 *
 * With P pixels and n steps, step k of 0..n exchanges the first round(k P / n) pixels of the stable descending order of the
 * map; the value is the trapezoid sum over k of (s_k + s_(k+1)) / (2 n). Petsiuk et al. 2018, "RISE", arXiv:1806.07421.
 */
abstract class PixelGame extends Metric {
  readonly steps: number
  readonly #baseline: MetricBaseline

  constructor(model: Model, options: InsertionDeletionOptions, usual: MetricBaseline) {
    super(model, options)
    const { steps = 20, baseline = usual } = expect.options(options)
    this.steps = expect.integer('steps', steps, { min: 1, max: mostPoints })
    this.#baseline = checkBaseline(baseline)
  }

  /** The shares of pixels: 0, 1 / steps, ..., 1. */
  override get points(): readonly number[] {
    return Array.from({ length: this.steps + 1 }, (_, k) => k / this.steps)
  }

  /** The image where `first` of the order is exchanged. */
  protected abstract exchange(
    first: Tensor,
    image: Tensor,
    baseline: Tensor,
    signal: AbortSignal | undefined,
  ): Promise<Tensor>

  protected async measure(input: Tensor, maps: Tensor, batch: MetricBatch): Promise<readonly Measured[]> {
    const { signal } = batch
    const { steps } = this
    const [imageCount = 0, , height = 0, width = 0] = input.shape
    using large = await upsampled(maps, input, signal)
    using ranks = await ranksOf(large, signal)
    using baseline = await baselineOf(input, this.#baseline, signal)
    const scorer = await this.scorer(input, batch)
    const copies: Copy[] = Array.from({ length: imageCount * (steps + 1) }, (_, i) => ({
      image: Math.floor(i / (steps + 1)),
      amount: Math.round(((i % (steps + 1)) * height * width) / steps),
    }))
    const make = async ({ images, picked, amounts }: Parameters<Parameters<typeof scoreCopies>[3]>[0]) => {
      const [order, ground] = picked as [Tensor, Tensor]
      using first = await on(signal).lt(order, amounts)
      return await this.exchange(first, images, ground, signal)
    }
    const options = { batchSize: this.options.batchSize, signal }
    const scores = await scoreCopies(scorer, [input, ranks, baseline], copies, make, options)
    return Array.from({ length: imageCount }, (_, image) => {
      const curve = scores.slice(image * (steps + 1), (image + 1) * (steps + 1))
      return { value: area(curve), curve }
    })
  }
}

/** The trapezoid rule over [0, 1]. */
function area(curve: readonly number[]): number {
  const ends = ((curve[0] as number) + (curve.at(-1) as number)) / 2
  return (curve.reduce((sum, score) => sum + score, 0) - ends) / (curve.length - 1)
}

/**
 * How fast the score falls when the most relevant pixels are removed first: less is better. The value is the area under the
 * curve of scores, by the trapezoid rule over `steps`. Petsiuk et al. 2018, "RISE", arXiv:1806.07421.
 */
export class Deletion extends PixelGame {
  constructor(model: Model, options: InsertionDeletionOptions = {}) {
    super(model, options, 'zeros')
  }

  protected exchange(first: Tensor, image: Tensor, baseline: Tensor, signal: AbortSignal | undefined) {
    return on(signal).where(first, baseline, image)
  }
}

/**
 * How fast the score rises when the most relevant pixels are put in first: more is better. The value is the area under the
 * curve of scores, by the trapezoid rule over `steps`. Petsiuk et al. 2018, "RISE", arXiv:1806.07421.
 */
export class Insertion extends PixelGame {
  constructor(model: Model, options: InsertionDeletionOptions = {}) {
    super(model, options, 'blurred')
  }

  protected exchange(first: Tensor, image: Tensor, baseline: Tensor, signal: AbortSignal | undefined) {
    return on(signal).where(first, image, baseline)
  }
}
