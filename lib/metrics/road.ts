import { expect, invalid, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import type { Model } from '../model/model.js'
import type { Tensor } from '../tensor/tensor.js'
import { scoreCopies, type Chunk } from './copies.js'
import { draw, impute, on } from './executor.js'
import { ranksOf, upsampled } from './maps.js'
import { mean, Metric, type Measured, type MetricBatch, type MetricOptions } from './metric.js'
import type { Scorer } from './scores.js'

/** Which pixels are replaced first: the most relevant or the least relevant. */
export type RoadOrder = 'combined' | 'morf' | 'lerf'

export interface RoadOptions extends MetricOptions {
  /**
   * 'morf': the change of the score when the most relevant pixels are removed; less is better. 'lerf': the least relevant
   * ones; more is better. 'combined' (the default): (lerf - morf) / 2; more is better.
   */
  readonly order?: RoadOrder
  /** The percentage of pixels that are kept, above 0 and up to 100; 10, 20, ..., 90 by default. The value is the mean over them. */
  readonly percentiles?: readonly number[]
  /** The standard deviation of the noise on removed pixels; 0.01 by default. */
  readonly noise?: number
  /** Of the noise, which is one image [C, H, W] of `torch.randn` for all images; an integer from 0 on, 0 by default. */
  readonly seed?: number
}

/**
 * ROAD: the score when pixels are removed and imputed from their neighbours, which leaves less of a trace than a baseline.
 *
 * Of P pixels the ceil(p (P - 1) / 100) last ones in the order of removal are kept. Every other one becomes the
 * weighted mean of its neighbours (see native/core/metrics/impute.h), plus noise; the value is the mean over p of the score
 * less the score of the image itself. Rong et al. 2022, arXiv:2202.00449, as pytorch-grad-cam 1.5.7 has it. There, p is a
 * percentile as a threshold, which gives the same number of pixels where no two are equally relevant. Equal ones are
 * ordered here (the first in row-major order goes first), where they all go there: a map with a large flat part loses the
 * whole image there, and its score is NaN.
 */
export class Road extends Metric {
  readonly order: RoadOrder
  readonly percentiles: readonly number[]
  readonly #noise: number
  readonly #seed: number

  constructor(model: Model, options: RoadOptions = {}) {
    super(model, options)
    const {
      order = 'combined',
      percentiles = [10, 20, 30, 40, 50, 60, 70, 80, 90],
      noise = 0.01,
      seed = 0,
    } = expect.options(options)
    const list: readonly unknown[] = toList(percentiles) ?? []
    if (list.length === 0 || !list.every((p) => typeof p === 'number' && p > 0 && p <= 100))
      throw invalid('percentiles', 'an array of at least one number above 0 up to 100', percentiles)
    this.order = expect.oneOf('order', order, ['combined', 'morf', 'lerf'])
    this.percentiles = list as readonly number[]
    this.#noise = expect.number('noise', noise, { min: 0 })
    this.#seed = expect.seed('seed', seed)
  }

  /** The percentages of pixels that are kept. */
  override get points(): readonly number[] {
    return this.percentiles
  }

  protected async measure(input: Tensor, maps: Tensor, batch: MetricBatch): Promise<readonly Measured[]> {
    const { signal } = batch
    const [images = 0, channels = 0, height = 0, width = 0] = input.shape
    if (height * width < 2)
      throw new GradCamError('ERR_SHAPE', 'An image of one pixel has no neighbours to impute from.')
    using large = await upsampled(maps, input, signal)
    const scorer = await this.scorer(input, batch)
    const dtype = input.dtype === 'float64' ? 'float64' : 'float32'
    using drawn = await draw('normal', [1, channels, height, width], dtype, this.#seed, { signal })
    using scaled = await on(signal).mul(drawn, this.#noise)
    using noise = await on(signal).to(scaled, input.device, input.dtype)
    const changes = async (descending: boolean) => {
      using ranks = await ranksOf(large, signal, descending)
      return await this.#changes(scorer, input, ranks, noise, signal)
    }
    const morf = this.order === 'lerf' ? null : await changes(true)
    const lerf = this.order === 'morf' ? null : await changes(false)
    return Array.from({ length: images }, (_, image) => {
      const curve = this.percentiles.map((_p, i) => {
        const [most, least] = [morf?.[image]?.[i], lerf?.[image]?.[i]]
        return most !== undefined && least !== undefined ? (least - most) / 2 : ((most ?? least) as number)
      })
      return { value: mean(curve), curve }
    })
  }

  /** The change of each image's score at each percentile. */
  async #changes(
    scorer: Scorer,
    input: Tensor,
    ranks: Tensor,
    noise: Tensor,
    signal: AbortSignal | undefined,
  ): Promise<number[][]> {
    const [imageCount = 0, , height = 0, width = 0] = input.shape
    const pixels = height * width
    const count = this.percentiles.length
    const copies = Array.from({ length: imageCount * count }, (_, i) => ({
      image: Math.floor(i / count),
      amount: pixels - Math.ceil(((this.percentiles[i % count] as number) * (pixels - 1)) / 100),
    }))
    const make = async ({ images, picked, amounts }: Chunk) => {
      using keep = await on(signal).ge(picked[0], amounts)
      using mask = await on(signal).squeeze(keep, 1)
      using imputed = await impute(images, mask, { signal })
      if (this.#noise === 0) return imputed.detach()
      using noisy = await on(signal).add(imputed, noise)
      return await on(signal).where(keep, images, noisy)
    }
    const options = { batchSize: this.options.batchSize, signal }
    const scores = await scoreCopies(scorer, [input, ranks], copies, make, options)
    return Array.from({ length: imageCount }, (_, image) =>
      this.percentiles.map((_p, i) => (scores[image * count + i] as number) - (scorer.original[image] as number)),
    )
  }
}
