import { expect } from '../base/check.js'
import type { Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import { scoreCopies, type Chunk } from './copies.js'
import { drawSamples, type Draws } from './draws.js'
import { on } from './executor.js'
import { areVaried, magnitudes, ranksOf, upsampled } from './maps.js'
import { mean, Metric, mostPoints, type Measured, type MetricBatch, type MetricOptions } from './metric.js'
import { rankCorrelation } from './similarity.js'

export interface MonotonicityCorrelationOptions extends MetricOptions {
  /** Into how many groups of equally many pixels an image is divided, from 2 on; 20 by default, at most one for each pixel. */
  readonly steps?: number
  /** How often the pixels of a group are replaced; 10 by default, as Quantus's. */
  readonly samples?: number
  /** The standard deviation of what they are replaced by, in the units of the input; 1 by default, that of standardised images. */
  readonly sigma?: number
  /** Of the noise: sample s is sigma times `torch.randn` of seed + s, one image for all images; an integer from 0 on, 0 by default. */
  readonly seed?: number
}

/**
 * Whether pixels that the map says more of change the score more: Spearman's rank correlation, over groups g of pixels, of the
 * sum of |M| over g with the mean over samples of (f(x with g replaced by noise) - f(x))^2. In [-1, 1]: more is better. Of P
 * pixels in the stable ascending order of |M| and n groups, group k has those from round(k P / n) up to, not including,
 * round((k + 1) P / n). 0 where |M| is constant, where all changes are equal or where none is more than rounding, since it is
 * undefined then. Nguyen and Martinez 2020, "On quantitative aspects of model interpretability", arXiv:2007.07584; the paper's
 * factor 1 / f(x)^2 changes no rank.
 */
export class MonotonicityCorrelation extends Metric {
  readonly #steps: number
  readonly #samples: number
  readonly #sigma: number
  readonly #seed: number

  constructor(model: Model, options: MonotonicityCorrelationOptions = {}) {
    super(model, options)
    const { steps = 20, samples = 10, sigma = 1, seed = 0 } = expect.options(options)
    this.#steps = expect.integer('steps', steps, { min: 2, max: mostPoints })
    this.#samples = expect.integer('samples', samples, { min: 1, max: mostPoints })
    this.#sigma = expect.number('sigma', sigma, { min: 0 })
    this.#seed = expect.seed('seed', seed)
  }

  protected async measure(input: Tensor, maps: Tensor, batch: MetricBatch): Promise<readonly Measured[]> {
    const { signal } = batch
    const [imageCount = 0, , height = 0, width = 0] = input.shape
    const pixels = height * width
    const groups = Math.min(this.#steps, pixels)
    const bounds = Array.from({ length: groups + 1 }, (_, k) => Math.round((k * pixels) / groups))
    using large = await upsampled(maps, input, signal)
    using values = await magnitudes(large, input, signal)
    using planes = await on(signal).reshape(values, [imageCount, 1, height, width])
    using ranks = await ranksOf(planes, signal, false)
    const scorer = await this.scorer(input, batch)
    // Sample by sample, so that a chunk requires few of them.
    const copies = Array.from({ length: imageCount * groups * this.#samples }, (_, i) => ({
      image: Math.floor(i / groups) % imageCount,
      amount: Math.floor(i / (groups * imageCount)) * groups + (i % groups),
    }))
    const dtype = input.dtype === 'float64' ? 'float64' : 'float32'
    const draws: Draws = { kind: 'normal', sizes: input.shape.slice(1), dtype, seed: this.#seed }
    const make = async ({ images, picked, copies: part }: Chunk) => {
      const samples = part.map(({ amount }) => Math.floor(amount / groups))
      const bound = (end: 0 | 1) =>
        Tensor.from(
          BigInt64Array.from(part, ({ amount }) => BigInt(bounds[(amount % groups) + end] as number)),
          [part.length, 1, 1, 1],
          { device: images.device },
        )
      using from = bound(0)
      using to = bound(1)
      using above = await on(signal).ge(picked[0], from)
      using below = await on(signal).lt(picked[0], to)
      using group = await on(signal).logicalAnd(above, below)
      using drawn = await drawSamples(draws, samples, { signal })
      using placed = await on(signal).to(drawn, images.device, images.dtype)
      using noise = await on(signal).mul(placed, this.#sigma)
      return await on(signal).where(group, noise, images)
    }
    const options = { batchSize: this.options.batchSize, signal }
    const scores = await scoreCopies(scorer, [input, ranks], copies, make, options)
    const changes = scorer.original.flatMap((original, image) =>
      Array.from({ length: groups }, (_, group) =>
        mean(
          Array.from({ length: this.#samples }, (_s, sample) => {
            const score = scores[(sample * imageCount + image) * groups + group] as number
            return (score - original) ** 2
          }),
        ),
      ),
    )
    const same = scorer.original.map((original, image) =>
      scorer.areOne([original, ...scores.filter((_, i) => copies[i]?.image === image)]),
    )
    using effects = Tensor.from(Float64Array.from(changes), [imageCount, groups])
    using sums = await sumsBetween(values, bounds, signal)
    const found = await rankCorrelation(sums, effects, signal)
    const varied = await areVaried(planes, signal)
    return found.map((value, image) => ({ value: varied[image] && !same[image] ? value : 0 }))
  }
}

/**
 * The sums of each row [N, P] in ascending order between neighbouring bounds, [N, bounds.length - 1] on the CPU. Each is added up by
 * itself: groups of the same values have the same sum, which differences of running sums have but for rounding.
 */
async function sumsBetween(rows: Tensor, bounds: readonly number[], signal: AbortSignal | undefined): Promise<Tensor> {
  const [sorted, order] = (await on(signal).sort(rows, 1, false)) as unknown as [Tensor, Tensor]
  order.dispose()
  using ascending = sorted
  const sums: Tensor[] = []
  try {
    for (const [group, from] of bounds.slice(0, -1).entries()) {
      using values = await on(signal).narrow(ascending, 1, from, (bounds[group + 1] as number) - from)
      sums.push(await on(signal).sum(values, [1], true))
    }
    using all = await on(signal).cat(sums, 1)
    return await on(signal).to(all, 'cpu', 'float64')
  } finally {
    for (const sum of sums) sum.dispose()
  }
}
