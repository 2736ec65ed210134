import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { inParts } from '../base/in-parts.js'
import type { Model } from '../model/model.js'
import type { Tensor } from '../tensor/tensor.js'
import { maskedScores, normalized, relativeDrops } from './confidence.js'
import { on } from './executor.js'
import { checkExplain, explainLike, type ExplainMaps } from './explain-maps.js'
import { upsampled } from './maps.js'
import { Metric, type Measured, type MetricBatch, type MetricOptions } from './metric.js'
import type { Scorer } from './scores.js'
import { correlation } from './similarity.js'

export interface AdccOptions extends MetricOptions {
  readonly explain: ExplainMaps
}

/**
 * Average DCC, which some call ARCC: the harmonic mean of 1 - drop, coherency and 1 - complexity, between 0 and 1: more is
 * better. With E, the map min-max normalised to [0, 1] at the size of the image x: the drop is that of {@link AverageDrop},
 * max(0, Y - O) / Y, where Y is the score of x and O that of x * E; the coherency is (1 + r) / 2, where r is Pearson's
 * correlation of the maps of x and of x * E, which `explain` makes; the complexity is the mean of E. The curve has these
 * three. The value is 0 where one of the three terms is, and where either map is constant, which is a coherency of 0. The class
 * is the one chosen at x. Poppi et al. 2021, "Revisiting The Evaluation of Class Activation Mapping for Explainability",
 * arXiv:2104.10252.
 */
export class Adcc extends Metric {
  readonly #explain: ExplainMaps

  /** @throws GradCamError ERR_INVALID_ARGUMENT, also for `score: 'logit'`: a drop relative to a logit means nothing */
  constructor(model: Model, options: AdccOptions) {
    super(model, options)
    if (this.options.score === 'logit')
      throw new GradCamError(
        'ERR_INVALID_ARGUMENT',
        'A drop relative to a logit means nothing, since logits may be negative.',
        { remedy: 'Leave out `score`.' },
      )
    this.#explain = checkExplain(expect.options(options).explain)
  }

  override get points(): readonly string[] {
    return ['drop', 'coherency', 'complexity']
  }

  protected async measure(input: Tensor, maps: Tensor, batch: MetricBatch): Promise<readonly Measured[]> {
    const { signal } = batch
    using masks = await normalized(maps, input, signal)
    const scorer = await this.scorer(input, batch)
    const masked = await maskedScores(scorer, input, masks, { batchSize: this.options.batchSize, signal })
    using exact = await on(signal).to(masks, masks.device, 'float64')
    using means = await on(signal).mean(exact, [1, 2, 3])
    const complexities = means.toTypedArray() as Float64Array
    const drops = relativeDrops(scorer.original, masked)
    const coherencies = await this.#coherencies(scorer, input, maps, masks, signal)
    return coherencies.map((coherency, image) => {
      const drop = drops[image] as number
      const complexity = complexities[image] as number
      return { value: harmonicMean([1 - drop, coherency, 1 - complexity]), curve: [drop, coherency, complexity] }
    })
  }

  async #coherencies(
    scorer: Scorer,
    input: Tensor,
    maps: Tensor,
    masks: Tensor,
    signal: AbortSignal | undefined,
  ): Promise<number[]> {
    const coherencies: number[] = []
    await inParts(input.shape[0] as number, this.options.batchSize, async (from, to) => {
      const of = Array.from({ length: to - from }, (_, i) => from + i)
      const part = (tensor: Tensor) => on(signal).narrow(tensor, 0, from, of.length)
      using images = await part(input)
      using hidden = await part(masks)
      using original = await part(maps)
      using seen = await on(signal).mul(images, hidden)
      const target = scorer.targetOf(of)
      using found = await explainLike(this.#explain, this.model, seen, maps.shape, { target, signal })
      using first = await upsampled(original, images, signal)
      using second = await upsampled(found, images, signal)
      const alike = await correlation(first, second, signal)
      coherencies.push(...alike.map((r) => (r === null ? 0 : (1 + r) / 2)))
    })
    return coherencies
  }
}

/** 0 where one of the numbers is. */
const harmonicMean = (values: readonly number[]): number =>
  values.every((value) => value > 0) ? values.length / values.reduce((sum, value) => sum + 1 / value, 0) : 0
