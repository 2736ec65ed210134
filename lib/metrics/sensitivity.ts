import { expect } from '../base/check.js'
import { inParts } from '../base/in-parts.js'
import type { Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import { draw, on } from './executor.js'
import { checkExplain, explainLike, type ExplainMaps } from './explain-maps.js'
import { checkFinite } from './maps.js'
import { mean, Metric, mostPoints, type Measured, type MetricBatch, type MetricOptions } from './metric.js'

export interface SensitivityOptions extends MetricOptions {
  readonly explain: ExplainMaps
  /** How many perturbed copies of each image are explained; 10 by default, as Captum's. */
  readonly samples?: number
  /** How far an element of the input may be moved, in its own units; 0.02 by default, as Captum's. */
  readonly radius?: number
  /**
   * Of the perturbations: sample s is (2 u - 1) radius with u = `torch.rand` of seed + s, one image for all images; an
   * integer from 0 on, 0 by default.
   */
  readonly seed?: number
}

/** @deprecated Use {@link SensitivityOptions}. */
export type SensitivityMaxOptions = SensitivityOptions

/**
 * How far the map is moved by small changes u of the image: ||M(x + u) - M(x)|| / ||M(x)|| for samples of the cube of that
 * radius, with 1 instead of a norm of 0. The maps given to `add` are M(x), which `explain` must make again in the same shape;
 * the class is the one chosen at x. Yeh et al. 2019, arXiv:1901.09392.
 */
abstract class Sensitivity extends Metric {
  readonly #explain: ExplainMaps
  readonly #samples: number
  readonly #radius: number
  readonly #seed: number

  constructor(model: Model, options: SensitivityOptions) {
    super(model, options)
    const { explain, samples = 10, radius = 0.02, seed = 0 } = expect.options(options)
    this.#explain = checkExplain(explain)
    this.#samples = expect.integer('samples', samples, { min: 1, max: mostPoints })
    this.#radius = expect.number('radius', radius, { min: 0 })
    this.#seed = expect.seed('seed', seed)
  }

  /** One number for the samples of an image. */
  protected abstract summary(moves: readonly number[]): number

  protected async measure(input: Tensor, maps: Tensor, batch: MetricBatch): Promise<readonly Measured[]> {
    const { signal } = batch
    const { batchSize } = this.options
    await checkFinite(maps, signal)
    const [imageCount = 0, ...sizes] = input.shape
    const scorer = await this.scorer(input, batch)
    const moves: number[][] = Array.from({ length: imageCount }, () => [])
    const dtype = input.dtype === 'float64' ? 'float64' : 'float32'
    for (let sample = 0; sample < this.#samples; sample++) {
      using drawn = await draw('uniform', [1, ...sizes], dtype, this.#seed + sample, { signal })
      using doubled = await on(signal).mul(drawn, 2 * this.#radius)
      using centred = await on(signal).sub(doubled, this.#radius)
      using noise = await on(signal).to(centred, input.device, input.dtype)
      await inParts(imageCount, batchSize, async (from, to) => {
        const of = Array.from({ length: to - from }, (_, i) => from + i)
        using images = await on(signal).narrow(input, 0, from, of.length)
        using original = await on(signal).narrow(maps, 0, from, of.length)
        using moved = await on(signal).add(images, noise)
        const target = scorer.targetOf(of)
        using found = await explainLike(this.#explain, this.model, moved, maps.shape, { target, signal })
        using placed = await on(signal).to(found, original.device, original.dtype)
        using difference = await on(signal).sub(original, placed)
        const [distances, norms] = [await norm(difference, signal), await norm(original, signal)]
        for (const [i, image] of of.entries())
          (moves[image] as number[])[sample] = (distances[i] as number) / (norms[i] || 1)
      })
    }
    return moves.map((list) => ({ value: this.summary(list) }))
  }
}

/**
 * How far the map can be moved by a small change of the image: the greatest ||M(x + u) - M(x)|| / ||M(x)|| over samples u
 * of the cube of that radius, with 1 instead of a norm of 0. Less is better. The maps given to `add` are M(x), which
 * `explain` must make again in the same shape; the class is the one chosen at x. Yeh et al. 2019, arXiv:1901.09392, as
 * Captum 0.9 has it.
 */
export class SensitivityMax extends Sensitivity {
  protected summary(moves: readonly number[]): number {
    return moves.reduce((most, move) => Math.max(most, move), 0)
  }
}

/**
 * How far the map is moved by small changes of the image on average: the mean of what {@link SensitivityMax} takes the greatest
 * of. Less is better. Yeh et al. 2019, arXiv:1901.09392, as Quantus 0.6 has it.
 */
export class SensitivityAvg extends Sensitivity {
  protected summary(moves: readonly number[]): number {
    return mean(moves)
  }
}

/** The Euclidean norm of each map. */
async function norm(maps: Tensor, signal: AbortSignal | undefined): Promise<Float64Array> {
  using exact = await on(signal).to(maps, maps.device, 'float64')
  using norms = await on(signal).norm(exact, 2, [1, 2, 3])
  return norms.toTypedArray() as Float64Array
}
