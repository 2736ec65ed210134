import type { CallOptions } from '../addon/abort.js'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { ScorePass } from '../explain/score-pass.js'
import { checkModel, type Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import type { BoxXYWH } from './boxes.js'
import { checkPair } from './maps.js'
import { Scorer, type MetricTarget, type ScoreKind } from './scores.js'

/** Options of every metric. */
export interface MetricOptions {
  /** The score of a class where the target is not plain data: 'probability' (the default), as in the papers, or 'logit'. */
  readonly score?: ScoreKind
  /** How many images a forward takes at most; 16 by default, fewer where memory runs out. The result does not depend on it. */
  readonly batchSize?: number
}

/** Options of one batch of images. */
export interface MetricBatch extends CallOptions {
  /** What the maps explain; the top class of each image by default. Not used by metrics that do not run the model. */
  readonly targets?: MetricTarget | undefined
  /** For the pointing games and relevance accuracies: where the objects are, one box or several for each image. */
  readonly boxes?: readonly (BoxXYWH | readonly BoxXYWH[])[] | undefined
  /**
   * For relevance accuracies, instead of boxes: where the objects are, [N, H, W] as large as the images, of any dtype: 1 or true
   * for the pixels of an object, 0 for all others. Each image must have such a pixel.
   */
  readonly masks?: Tensor | undefined
}

/** The result of a metric for one image. */
export interface Measured {
  readonly value: number
  /** One number for each of the metric's points. */
  readonly curve?: readonly number[]
}

/** The result of a metric for all images that were added. */
export interface MetricResult {
  /** The mean over images. */
  readonly mean: number
  /** How many images were added. */
  readonly count: number
  /** One value for each image, in the order in which they were added. */
  readonly perImage: readonly number[]
  /** Where the value is the mean of several, such as one per share of pixels: what each belongs to, and its mean over images. */
  readonly points: readonly (number | string)[]
  readonly curve: readonly number[]
}

/**
 * A measure of maps that adds up over batches. It keeps numbers alone, no tensors; an `add` that fails or is aborted adds
 * nothing. Heavy work runs on executor threads. An image's value does not depend on the rest of its batch.
 */
export abstract class Metric implements Disposable {
  readonly model: Model
  protected readonly options: Required<MetricOptions>
  readonly #batches: { measured: readonly Measured[] }[] = []
  /** Made at its first use: not every metric runs the model. */
  #scores: ScorePass | undefined
  #disposed = false

  /** @throws GradCamError ERR_INVALID_ARGUMENT */
  constructor(model: Model, options: MetricOptions = {}) {
    const { score = 'probability', batchSize = 16 } = expect.options(options)
    this.model = checkModel(model)
    this.options = {
      score: expect.oneOf('score', score, ['probability', 'logit']),
      batchSize: expect.count('batchSize', batchSize),
    }
  }

  /** The points of the curve; none where there is no curve. */
  get points(): readonly (number | string)[] {
    return []
  }

  /**
   * Measures the maps of a batch of images.
   *
   * @param input [N, C, H, W], as the model takes it
   * @param maps [N, 1, h, w] in any size, upsampled bilinearly to that of the input; some metrics also take [N, C, H, W]
   * @throws GradCamError ERR_SHAPE, ERR_INVALID_ARGUMENT for maps that are not finite or for missing boxes or masks,
   *   ERR_TARGET_COUNT, ERR_TARGET_OUT_OF_RANGE, ERR_TARGET, ERR_DISPOSED
   */
  async add(input: Tensor, maps: Tensor, batch: MetricBatch = {}): Promise<void> {
    this.#check()
    expect.signal(expect.options(batch, 'batch').signal)
    checkPair(input, maps)
    const slot: { measured: readonly Measured[] } = { measured: [] }
    this.#batches.push(slot) // now, so that overlapping calls stay in order
    using images = input.detach() // of our own, and off the graph
    using relevance = maps.detach()
    const measured = await this.measure(images, relevance, batch).catch((error: unknown) => {
      this.#check() // a metric that was disposed meanwhile fails for that reason
      throw error
    })
    this.#check()
    slot.measured = measured
  }

  /** @throws GradCamError ERR_NO_FORWARD where nothing was added */
  result(): MetricResult {
    this.#check()
    const all = this.#batches.flatMap(({ measured }) => measured)
    if (all.length === 0)
      throw new GradCamError('ERR_NO_FORWARD', 'No image was added yet: call add(input, maps) first.')
    const perImage = all.map(({ value }) => value)
    const curve = this.points.map((_, i) => mean(all.map((one) => one.curve?.[i] ?? NaN)))
    return { mean: mean(perImage), count: all.length, perImage, points: this.points, curve }
  }

  /** Measures each image of a batch; the pair was checked. */
  protected abstract measure(input: Tensor, maps: Tensor, batch: MetricBatch): Promise<readonly Measured[]>

  /** Scores the images of a batch, and lets their changed copies be scored for the same classes. */
  protected scorer(input: Tensor, { targets, signal }: MetricBatch): Promise<Scorer> {
    this.#scores ??= new ScorePass(this.model)
    return Scorer.of(this.#scores, input, targets, { ...this.options, signal })
  }

  #check(): void {
    if (this.#disposed)
      throw new GradCamError('ERR_DISPOSED', 'This metric was disposed.', { remedy: 'Make a new one.' })
  }

  /** Frees all that it holds. The model stays as it was. Safe to call again. */
  dispose(): void {
    this.#disposed = true
    this.#scores?.dispose()
    this.#batches.length = 0
  }

  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}

export const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** As many steps or samples as a metric takes: each is a copy of the image to score. */
export const mostPoints = 100_000
