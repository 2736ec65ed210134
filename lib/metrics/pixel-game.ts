import { expect } from '../base/check.js'
import type { Model } from '../model/model.js'
import type { Tensor } from '../tensor/tensor.js'
import { baselineOf, checkBaseline, type MetricBaseline } from './baseline.js'
import { scoreCopies, type Chunk, type Copy } from './copies.js'
import { on } from './executor.js'
import { ranksOf, upsampled } from './maps.js'
import { Metric, mostPoints, type Measured, type MetricBatch, type MetricOptions } from './metric.js'

/** Options of metrics that exchange pixels with a baseline step by step. */
export interface PixelGameOptions extends MetricOptions {
  /** In how many steps of equally many pixels or patches; 20 by default. */
  readonly steps?: number
  /** The value of pixels that are not in the image; 'blurred' for insertion, as in its paper, and 'zeros' for others by default. */
  readonly baseline?: MetricBaseline
}

/** What is exchanged, in which order. */
interface Order {
  /** int64 [N, 1, H, W]: the number of exchanges before that of each pixel. */
  readonly ranks: Tensor
  /** How many things are exchanged: pixels or patches. */
  readonly count: number
}

/**
 * The score while pixels are exchanged with the baseline in an order, and the area under that curve.
 *
 * With P things to exchange, which are pixels where a metric does not say otherwise, and n steps, step k of 0..n exchanges the
 * first round(k P / n) of the order.
 */
export abstract class PixelGame extends Metric {
  readonly steps: number
  readonly #baseline: MetricBaseline
  readonly #inserts: boolean

  /** @param inserts whether pixels are put into the baseline, instead of removed from the image */
  constructor(model: Model, options: PixelGameOptions, inserts: boolean, usual: MetricBaseline = 'zeros') {
    super(model, options)
    const { steps = 20, baseline = usual } = expect.options(options)
    this.steps = expect.integer('steps', steps, { min: 1, max: mostPoints })
    this.#baseline = checkBaseline(baseline)
    this.#inserts = inserts
  }

  /** The shares that are exchanged: 0, 1 / steps, ..., 1. */
  override get points(): readonly number[] {
    return Array.from({ length: this.steps + 1 }, (_, k) => k / this.steps)
  }

  /** The order of the exchanges, by maps in the size of the images: the most relevant pixel first. */
  protected async order(maps: Tensor, signal: AbortSignal | undefined): Promise<Order> {
    const [, , height = 0, width = 0] = maps.shape
    return { ranks: await ranksOf(maps, signal), count: height * width }
  }

  /** One number for the scores of all steps: the area under them. */
  protected summary(curve: readonly number[]): number {
    return area(curve)
  }

  protected async measure(input: Tensor, maps: Tensor, batch: MetricBatch): Promise<readonly Measured[]> {
    const { signal } = batch
    const { steps } = this
    const imageCount = input.shape[0] as number
    using large = await upsampled(maps, input, signal)
    const { ranks: order, count } = await this.order(large, signal)
    using ranks = order
    using baseline = await baselineOf(input, this.#baseline, signal)
    const scorer = await this.scorer(input, batch)
    const copies: Copy[] = Array.from({ length: imageCount * (steps + 1) }, (_, i) => ({
      image: Math.floor(i / (steps + 1)),
      amount: Math.round(((i % (steps + 1)) * count) / steps),
    }))
    const make = async ({ images, picked, amounts }: Chunk) => {
      const [before, ground] = picked as [Tensor, Tensor]
      using first = await on(signal).lt(before, amounts)
      return this.#inserts
        ? await on(signal).where(first, images, ground)
        : await on(signal).where(first, ground, images)
    }
    const options = { batchSize: this.options.batchSize, signal }
    const scores = await scoreCopies(scorer, [input, ranks, baseline], copies, make, options)
    return Array.from({ length: imageCount }, (_, image) => {
      const curve = scores.slice(image * (steps + 1), (image + 1) * (steps + 1))
      return { value: this.summary(curve), curve }
    })
  }
}

/** The trapezoid rule over [0, 1]. */
function area(curve: readonly number[]): number {
  const ends = ((curve[0] as number) + (curve.at(-1) as number)) / 2
  return (curve.reduce((sum, score) => sum + score, 0) - ends) / (curve.length - 1)
}
