import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import type { Model } from '../model/model.js'
import type { Tensor } from '../tensor/tensor.js'
import { scoreCopies, type Chunk } from './copies.js'
import { on } from './executor.js'
import { upsampled } from './maps.js'
import { Metric, type Measured, type MetricBatch, type MetricOptions } from './metric.js'
import type { Scorer } from './scores.js'

/**
 * E of maps: each min-max normalised to [0, 1] (all 0 where it is constant) at the size of the image, [N, 1, H, W] in the dtype
 * of the images, for the caller to dispose.
 */
export async function normalized(maps: Tensor, input: Tensor, signal: AbortSignal | undefined): Promise<Tensor> {
  using large = await upsampled(maps, input, signal)
  using low = await on(signal).amin(large, [1, 2, 3], true)
  using shifted = await on(signal).sub(large, low)
  using high = await on(signal).amax(shifted, [1, 2, 3], true)
  using flat = await on(signal).eq(high, 0)
  using range = await on(signal).maskedFill(high, flat, 1)
  using mask = await on(signal).div(shifted, range)
  return await on(signal).to(mask, input.device, input.dtype)
}

/** O of each image: the score of x * E. */
export function maskedScores(
  scorer: Scorer,
  input: Tensor,
  masks: Tensor,
  options: { batchSize: number; signal: AbortSignal | undefined },
): Promise<readonly number[]> {
  const copies = scorer.original.map((_, image) => ({ image, amount: 0 }))
  const make = ({ images, picked }: Chunk) => on(options.signal).mul(images, picked[0])
  return scoreCopies(scorer, [input, masks], copies, make, options)
}

/**
 * max(0, Y - O) / Y of each image: the share of its score that is lost.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT for a score below 0, which has no share; `targets` that are plain data may give one
 */
export const relativeDrops = (whole: readonly number[], masked: readonly number[]): number[] =>
  whole.map((score, image) => {
    const left = masked[image] as number
    const [of, negative] = score < 0 ? ['', score] : [' times its map', left]
    if (negative < 0)
      throw new GradCamError(
        'ERR_INVALID_ARGUMENT',
        `The score of image ${image}${of} is ${negative}: a drop relative to a score means nothing where scores are negative.`,
        { remedy: "Score by probabilities, as by `targets: { kind: 'probability', class: 0 }`." },
      )
    return left < score ? (score - left) / score : 0
  })

/**
 * Y, the score of an image x, and O, that of x * E, where E is the map min-max normalised to [0, 1] (all 0 where it is constant)
 * at the size of the image. x is the image as the model takes it, so after standardisation: pixels that E hides become 0 there.
 * Chattopadhay et al. 2018, "Grad-CAM++", arXiv:1710.11063, section 5.1.
 */
abstract class MaskedConfidence extends Metric {
  /** The value of each image, by the scores of the images and of the masked ones. */
  protected abstract compare(whole: readonly number[], masked: readonly number[]): readonly number[]

  protected async measure(input: Tensor, maps: Tensor, batch: MetricBatch): Promise<readonly Measured[]> {
    const { signal } = batch
    using masks = await normalized(maps, input, signal)
    const scorer = await this.scorer(input, batch)
    const masked = await maskedScores(scorer, input, masks, { batchSize: this.options.batchSize, signal })
    return this.compare(scorer.original, masked).map((value) => ({ value }))
  }
}

export interface AverageDropOptions extends MetricOptions {
  /**
   * Whether the drop is divided by the score of the whole image, as in the paper. True by default; false gives
   * pytorch-grad-cam's DropInConfidence, and is required for logits and other scores that may be negative.
   */
  readonly relative?: boolean
}

/**
 * max(0, Y - O) / Y, between 0 and 1: less is better. Y is the score of the image, O that of the image multiplied by its map
 * in [0, 1]. Chattopadhay et al. 2018, "Grad-CAM++", arXiv:1710.11063.
 */
export class AverageDrop extends MaskedConfidence {
  readonly #relative: boolean

  constructor(model: Model, options: AverageDropOptions = {}) {
    super(model, options)
    const { score } = this.options
    const { relative = score !== 'logit' } = expect.options(options)
    expect.boolean('relative', relative)
    if (relative && score === 'logit')
      throw new GradCamError(
        'ERR_INVALID_ARGUMENT',
        'A drop relative to a logit means nothing, since logits may be negative.',
        { remedy: 'Leave out one of `relative` and `score`.' },
      )
    this.#relative = relative
  }

  protected compare(whole: readonly number[], masked: readonly number[]): readonly number[] {
    if (this.#relative) return relativeDrops(whole, masked)
    return whole.map((score, image) => Math.max(0, score - (masked[image] as number)))
  }
}

/**
 * 1 where O > Y, else 0; its mean is the share of images whose score increases: more is better. Y is the score of the image, O
 * that of the image multiplied by its map in [0, 1]. Chattopadhay et al. 2018, "Grad-CAM++", arXiv:1710.11063.
 */
export class IncreaseInConfidence extends MaskedConfidence {
  protected compare(whole: readonly number[], masked: readonly number[]): readonly number[] {
    return whole.map((score, image) => ((masked[image] as number) > score ? 1 : 0))
  }
}
