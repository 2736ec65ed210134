import { expect } from '../base/check.js'
import type { Model } from '../model/model.js'
import type { Tensor } from '../tensor/tensor.js'
import { scoreCopies, type Chunk } from './copies.js'
import { drawSamples, type Draws } from './draws.js'
import { on } from './executor.js'
import { upsampled } from './maps.js'
import { mean, Metric, mostPoints, type Measured, type MetricBatch, type MetricOptions } from './metric.js'

export interface InfidelityOptions extends MetricOptions {
  /** How many perturbations; 10 by default, as Captum's. */
  readonly samples?: number
  /** The standard deviation of the perturbations in the units of the input; 0.1 by default. */
  readonly sigma?: number
  /**
   * Whether maps are first multiplied by the number that makes their infidelity least (Captum's `normalize`), so that it
   * does not depend on their scale. False by default.
   */
  readonly normalize?: boolean
  /** Of the perturbations: sample s is sigma times `torch.randn` of seed + s; an integer from 0 on, 0 by default. */
  readonly seed?: number
}

/**
 * How badly the map M predicts the change of the score under small perturbations I: the mean over I of
 * (sum(I M) - (f(x) - f(x - I)))^2. Less is better. With `normalize`, M is multiplied by b = mean(sum(I M) (f(x) - f(x - I)))
 * / mean(sum(I M)^2), or 0 for a map of zeros. A map [N, 1, h, w] stands for each channel of the input; attributions
 * [N, C, H, W] are taken as they are. Yeh et al. 2019, "On the (In)fidelity and Sensitivity of Explanations",
 * arXiv:1901.09392, as Captum 0.9 has it.
 */
export class Infidelity extends Metric {
  readonly #samples: number
  readonly #sigma: number
  readonly #normalize: boolean
  readonly #seed: number

  constructor(model: Model, options: InfidelityOptions = {}) {
    super(model, options)
    const { samples = 10, sigma = 0.1, normalize = false, seed = 0 } = expect.options(options)
    this.#samples = expect.integer('samples', samples, { min: 1, max: mostPoints })
    this.#sigma = expect.number('sigma', sigma, { min: 0 })
    this.#seed = expect.seed('seed', seed)
    this.#normalize = expect.boolean('normalize', normalize)
  }

  protected async measure(input: Tensor, maps: Tensor, batch: MetricBatch): Promise<readonly Measured[]> {
    const { signal } = batch
    const [imageCount = 0, channels = 1] = input.shape
    using large = await upsampled(maps, input, signal, [1, channels])
    const scorer = await this.scorer(input, batch)
    // Sample by sample, so that a chunk needs few of them.
    const copies = Array.from({ length: imageCount * this.#samples }, (_, i) => ({
      image: i % imageCount,
      amount: Math.floor(i / imageCount),
    }))
    const dtype = input.dtype === 'float64' ? 'float64' : 'float32'
    const draws: Draws = { kind: 'normal', sizes: input.shape.slice(1), dtype, seed: this.#seed }
    const products = new Float64Array(copies.length)
    const make = async ({ images, picked, copies: part }: Chunk) => {
      const samples = part.map(({ amount }) => amount)
      using drawn = await drawSamples(draws, samples, { signal })
      using placed = await on(signal).to(drawn, input.device, input.dtype)
      using perturbations = await on(signal).mul(placed, this.#sigma)
      using weighted = await on(signal).mul(perturbations, picked[0])
      using exact = await on(signal).to(weighted, weighted.device, 'float64')
      using sums = await on(signal).sum(exact, [1, 2, 3])
      // By copy: a chunk that is too large for the memory or the model is made again in parts.
      const list = sums.toTypedArray() as Float64Array
      for (const [i, { image, amount }] of part.entries()) products[amount * imageCount + image] = list[i] as number
      return await on(signal).sub(images, perturbations)
    }
    const options = { batchSize: this.options.batchSize, signal }
    const scores = await scoreCopies(scorer, [input, large], copies, make, options)
    return scorer.original.map((original, image) => {
      const of = copies.flatMap((copy, i) => (copy.image === image ? [i] : []))
      const predicted = of.map((i) => products[i] as number)
      const changes = of.map((i) => original - (scores[i] as number))
      const factor = this.#normalize ? leastSquares(predicted, changes) : 1
      return { value: mean(predicted.map((value, i) => (factor * value - (changes[i] as number)) ** 2)) }
    })
  }
}

/** The factor of `a` that comes nearest to `b`. */
function leastSquares(a: readonly number[], b: readonly number[]): number {
  const squares = mean(a.map((value) => value ** 2))
  return squares > 0 ? mean(a.map((value, i) => value * (b[i] as number))) / squares : 0
}
