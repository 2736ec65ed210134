import { isRecord, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { isRounding } from '../explain/condition.js'
import type { Explained } from '../explain/explained.js'
import { inParts } from '../base/in-parts.js'
import { rowsOf } from '../model/model-notes.js'
import type { ScorePass } from '../explain/score-pass.js'
import type { ClassChoice, TargetData } from '../target/target.js'
import { boxesOfCopies, type BoxTarget } from '../target/target-box.js'
import { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'
import { on } from './executor.js'

/** The target that a metric scores images by: a class, one per image, the top class of each ('argmax', the default), or plain data. */
export type MetricTarget = ClassChoice | TargetData

/** The score of a class that is given as a number: its softmax probability, as in the papers, or its logit. */
export type ScoreKind = 'probability' | 'logit'

export interface ScorerOptions {
  readonly score: ScoreKind
  /** How many images a forward takes at most. */
  readonly batchSize: number
  readonly signal?: AbortSignal | undefined
}

type Fields = Readonly<Record<string, unknown>>

/** The items of images, for copies of these images; `of` are the numbers of the copies' images. */
const pick = <Item>(list: readonly Item[], of: readonly number[]): Item[] => of.map((image) => list[image] as Item)

const isPerImage = (value: unknown): value is readonly number[] => (toList(value)?.length ?? 0) > 1

function asData(target: unknown, kind: ScoreKind): Fields {
  if (typeof target === 'function')
    throw new GradCamError(
      'ERR_TARGET',
      'A metric scores image by image, but a target function scores the whole output.',
      { remedy: 'Give a class or plain data.' },
    )
  if (isRecord(target)) return target
  return { kind: kind === 'probability' ? 'probability' : 'class', class: target }
}

/** Scores changed copies of the images of one batch, for the classes that were chosen at the images themselves. */
export class Scorer {
  /** The scores of the images themselves, and the class of each. */
  readonly original: readonly number[]
  readonly classes: readonly number[]
  readonly #pass: ScorePass
  readonly #target: MetricTarget
  readonly #options: ScorerOptions

  private constructor(
    pass: ScorePass,
    target: MetricTarget,
    options: ScorerOptions,
    found: { classes: readonly number[]; scores: readonly number[] },
  ) {
    this.#pass = pass
    this.#target = target
    this.#options = options
    this.original = found.scores
    this.classes = found.classes
  }

  /** Scores the images themselves, [N, C, H, W]. */
  static async of(
    pass: ScorePass,
    input: Tensor,
    target: MetricTarget = 'argmax',
    options: ScorerOptions,
  ): Promise<Scorer> {
    const data = asData(target, options.score)
    const imageCount = input.shape[0] as number
    for (const given of [data['class'], data['minus']])
      if (isPerImage(given) && given.length !== imageCount)
        throw new GradCamError(
          'ERR_TARGET_COUNT',
          `${given.length} targets were given for a batch of ${imageCount} images.`,
          {
            remedy: 'Give one class for all, or one per image.',
            details: { targets: given.length, images: imageCount },
          },
        )
    const classes: number[] = []
    const scores: number[] = []
    const most = (await takesSeveral(pass, input, options)) ? options.batchSize : 1
    await inParts(imageCount, most, async (from, to) => {
      const of = Array.from({ length: to - from }, (_, i) => from + i)
      using images = await on(options.signal).narrow(input, 0, from, of.length)
      await checkFinite(images, options.signal)
      const chosen = data['class']
      const found = await run(pass, images, data, isPerImage(chosen) ? pick(chosen, of) : chosen, of, options)
      classes.push(...found.targets)
      scores.push(...found.scores)
    })
    return new Scorer(pass, target, options, { classes, scores })
  }

  /** How many copies may be scored at once, of `batchSize`. */
  atOnce(batchSize: number): number {
    return rowsOf(this.#pass.model)?.independent === false ? 1 : batchSize
  }

  /**
   * The scores of changed copies.
   *
   * @param images [of.length, C, H, W], the i-th a copy of image `of[i]`
   */
  async score(images: Tensor, of: readonly number[]): Promise<readonly number[]> {
    const data = asData(this.#target, this.#options.score)
    const { scores } = await run(this.#pass, images, data, pick(this.classes, of), of, this.#options)
    return scores
  }

  /** Whether scores are one number but for rounding, so that a correlation with them would be one with rounding errors. */
  areOne(scores: readonly number[]): boolean {
    const [least, most] = scores.reduce(([low, high], one) => [Math.min(low, one), Math.max(high, one)], [
      Infinity,
      -Infinity,
    ] as const)
    return isRounding(most - least, Math.max(Math.abs(least), Math.abs(most)), this.#pass.model.dtype)
  }

  /** The target that an explainer has to explain at copies of images: as it was given, with the classes that were chosen. */
  targetOf(of: readonly number[]): MetricTarget {
    const target = this.#target
    const classes = pick(this.classes, of)
    return typeof target === 'object' && !Array.isArray(target)
      ? (copied(target as unknown as Fields, classes, of) as unknown as TargetData)
      : classes
  }
}

/** Whether images may be scored in one batch. */
async function takesSeveral(pass: ScorePass, input: Tensor, { batchSize, signal }: ScorerOptions): Promise<boolean> {
  return batchSize === 1 || (await pass.takesSeveral(input, signal))
}

function copied(data: Fields, classes: unknown, of: readonly number[]): Record<string, unknown> {
  const { minus, mask } = data
  if (data['kind'] === 'box') {
    const boxes = boxesOfCopies(data as unknown as BoxTarget, (classes ?? []) as readonly number[], of)
    // Of the images themselves nothing may be missing that may not be missing anyway.
    return classes === undefined ? { ...boxes, missing: data['missing'] ?? 'error' } : { ...boxes }
  }
  const copy: Record<string, unknown> = { ...data }
  if (data['kind'] !== 'regression' && classes !== undefined) copy['class'] = classes
  if (isPerImage(minus)) copy['minus'] = pick(minus, of)
  // Nested arrays [N, H, W]; tensors are picked in `run`, and masks [H, W] are for all images.
  if (Array.isArray(mask) && Array.isArray((mask as unknown[][])[0]?.[0])) copy['mask'] = pick(mask as unknown[], of)
  return copy
}

async function run(
  pass: ScorePass,
  images: Tensor,
  data: Fields,
  classes: unknown,
  of: readonly number[],
  { signal }: ScorerOptions,
): Promise<Explained> {
  const copy = copied(data, classes, of)
  const { mask } = copy
  using picked = mask instanceof Tensor && mask.shape.length === 3 ? mask.indexSelect(0, of) : null
  if (picked) copy['mask'] = picked
  const found = await pass.score<Value>(images, { target: copy as unknown as TargetData, signal })
  const bad = found.scores.find((score) => !Number.isFinite(score))
  if (bad === undefined) return found
  throw notFinite(`The model's score of an image is ${bad}`)
}

/** Checks the input itself, too: an infinity in it may leave the score finite, as where a ReLU or a max-pool drops it. */
async function checkFinite(images: Tensor, signal: AbortSignal | undefined): Promise<void> {
  using finite = await on(signal).isfinite(images)
  using all = await on(signal).all(finite)
  if (Number(all.toTypedArray()[0]) !== 1) throw notFinite('The input holds numbers that are not finite')
}

function notFinite(what: string): GradCamError {
  return new GradCamError('ERR_INVALID_ARGUMENT', `${what}, but a metric requires finite numbers.`)
}
