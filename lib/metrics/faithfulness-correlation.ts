import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import type { Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import { baselineOf, checkBaseline, type MetricBaseline } from './baseline.js'
import { scoreCopies, type Chunk, type Copy } from './copies.js'
import { drawSamples, type Draws } from './draws.js'
import { on } from './executor.js'
import { areVaried, ranksOf, upsampled } from './maps.js'
import { Metric, mostPoints, type Measured, type MetricBatch, type MetricOptions } from './metric.js'
import { correlation } from './similarity.js'

export interface FaithfulnessCorrelationOptions extends MetricOptions {
  /** How many subsets of pixels are removed, from 2 on; 100 by default, as Quantus's. */
  readonly samples?: number
  /** How many pixels a subset has; by default the square root of their number, which is Quantus's 224 for 224 x 224 pixels. */
  readonly subset?: number
  /** The value of removed pixels; 'zeros' by default. */
  readonly baseline?: MetricBaseline
  /**
   * Of the subsets: that of sample s are the pixels with the least numbers of `torch.rand` of seed + s, the same for all images;
   * an integer from 0 on, 0 by default.
   */
  readonly seed?: number
}

/**
 * Whether the map says how much the score falls when random pixels are removed: Pearson's correlation, over random subsets S of
 * the pixels, of the sum of the map over S with f(x) - f(x with S at the baseline). In [-1, 1]: more is better. 0 where the
 * map is constant or the score never changes by more than rounding, since it is undefined then. Bhatt et al. 2020, "Evaluating and Aggregating
 * Feature-based Model Explanations", arXiv:2005.00631.
 */
export class FaithfulnessCorrelation extends Metric {
  readonly #samples: number
  readonly #subset: number | undefined
  readonly #baseline: MetricBaseline
  readonly #seed: number

  constructor(model: Model, options: FaithfulnessCorrelationOptions = {}) {
    super(model, options)
    const { samples = 100, subset, baseline = 'zeros', seed = 0 } = expect.options(options)
    this.#samples = expect.integer('samples', samples, { min: 2, max: mostPoints })
    this.#subset = subset === undefined ? undefined : expect.count('subset', subset)
    this.#baseline = checkBaseline(baseline)
    this.#seed = expect.seed('seed', seed)
  }

  protected async measure(input: Tensor, maps: Tensor, batch: MetricBatch): Promise<readonly Measured[]> {
    const { signal } = batch
    const [imageCount = 0, , height = 0, width = 0] = input.shape
    const subset = this.#subset ?? Math.round(Math.sqrt(height * width))
    if (subset > height * width)
      throw new GradCamError(
        'ERR_INVALID_ARGUMENT',
        `A subset has ${subset} pixels, but the images have ${height * width}.`,
        { remedy: 'Give a smaller `subset`.', details: { subset, pixels: height * width } },
      )
    using large = await upsampled(maps, input, signal)
    using exact = await on(signal).to(large, large.device, 'float64')
    using baseline = await baselineOf(input, this.#baseline, signal)
    const scorer = await this.scorer(input, batch)
    // Sample by sample, so that a chunk requires few of them.
    const copies = Array.from({ length: imageCount * this.#samples }, (_, i) => ({
      image: i % imageCount,
      amount: Math.floor(i / imageCount),
    }))
    const dtype = input.dtype === 'float64' ? 'float64' : 'float32'
    const draws: Draws = { kind: 'uniform', sizes: [1, height, width], dtype, seed: this.#seed }
    const [sums, falls] = [0, 1].map(() => new Float64Array(copies.length)) as [Float64Array, Float64Array]
    const at = ({ image, amount }: Copy) => image * this.#samples + amount
    const make = async ({ images, picked, copies: part }: Chunk) => {
      const [values, ground] = picked as [Tensor, Tensor]
      const samples = part.map(({ amount }) => amount)
      using drawn = await drawSamples(draws, samples, { signal })
      using order = await ranksOf(drawn, signal, false)
      using chosen = await on(signal).lt(order, subset)
      using removed = await on(signal).to(chosen, images.device, chosen.dtype)
      using inside = await on(signal).mul(values, removed)
      using totals = await on(signal).sum(inside, [1, 2, 3])
      const list = totals.toTypedArray() as Float64Array
      for (const [i, copy] of part.entries()) sums[at(copy)] = list[i] as number
      return await on(signal).where(removed, ground, images)
    }
    const options = { batchSize: this.options.batchSize, signal }
    const scores = await scoreCopies(scorer, [input, exact, baseline], copies, make, options)
    for (const [i, copy] of copies.entries())
      falls[at(copy)] = (scorer.original[copy.image] as number) - (scores[i] as number)
    const same = scorer.original.map((_, image) => scorer.areOne(scores.filter((_s, i) => copies[i]?.image === image)))
    const sizes = [imageCount, this.#samples]
    using predicted = Tensor.from(sums, sizes)
    using seen = Tensor.from(falls, sizes)
    const found = await correlation(predicted, seen, signal)
    // Sums of a constant map may differ by rounding.
    const varied = await areVaried(large, signal)
    return found.map((r, image) => ({ value: varied[image] && !same[image] && r !== null ? r : 0 }))
  }
}
