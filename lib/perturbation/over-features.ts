import { GradCamError } from '../base/errors.js'
import type { CallOptions } from '../addon/abort.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { operators } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { attributionType, type Accumulator, type ScoredVersions } from './accumulator.js'
import type { Coalitions, CoalitionMethod } from './coalitions.js'
import { checkFeatures, everyElement, likeInput, numbersOf } from './features.js'
import { checkExpands, replaceWhere, type Baseline, type Perturbation } from './perturbation.js'
import { superpixels } from './superpixels.js'

/** The features of the methods that give each of them a value. */
export interface FeatureOptions {
  /**
   * Which elements are removed together: those with the same integer. A tensor of integers that can be expanded to the input, so with a
   * batch of 1 or N. By default superpixels for images [N, C, H, W], see {@link superpixels}, and every element for other inputs.
   */
  readonly features?: Tensor
  /** About how many superpixels an image is divided into, where no features are given; 50 by default. Refused for other inputs. */
  readonly segments?: number
  /** Their value when removed: a number (0 by default), or a tensor that can be expanded to the input. */
  readonly baseline?: Baseline
}

/** The features of each image; all images share them where there is one row. */
interface Numbered {
  /** [1 or N, ...] int64: the features of each row are numbered from 0. */
  readonly index: Tensor
  /** How many there are in each row. */
  readonly counts: readonly number[]
}

async function numberFeatures(x: Tensor, options: FeatureOptions, call: CallOptions): Promise<Numbered> {
  const { features, segments } = options
  if (features !== undefined) checkFeatures(features, x.shape)
  const isImage = x.shape.length === 4 && /float/.test(x.dtype)
  if (features === undefined && segments !== undefined && !isImage)
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `\`segments\` is of images [N, C, H, W] of floating-point numbers, and the input is [${x.shape.join(', ')}] ${x.dtype}: its features are single elements, unless \`features\` says others.`,
      { remedy: 'Leave it out, or give `features`, e.g. of gridFeatures.', details: { shape: x.shape } },
    )
  using mask =
    features !== undefined
      ? likeInput(features, x)
      : isImage
        ? await superpixels(x, { ...call, ...(segments !== undefined && { segments }) })
        : everyElement(x)
  const rows = mask.shape[0] as number
  const values = mask.toTypedArray() as BigInt64Array
  const size = values.length / rows
  const counts: number[] = []
  for (let row = 0; row < rows; row++) {
    const own = values.subarray(row * size, (row + 1) * size)
    const numbers = numbersOf(own)
    const at = new Map(Array.from(numbers, (number, i) => [number, BigInt(i)]))
    for (const [i, number] of own.entries()) own[i] = at.get(number) as bigint
    counts.push(numbers.length)
  }
  return { index: Tensor.from(values, mask.shape, { device: x.device }), counts }
}

/** One number for each feature of a row, at the elements of the feature: [versions, rows, ...] of [versions, rows, features]. */
async function spread(table: Tensor, index: Tensor, call: CallOptions): Promise<Tensor> {
  const [versions = 1, rows = 1] = table.shape
  using positions = tidy(() => {
    const flat = index.flatten(1)
    return flat.unsqueeze(0).expand([versions, rows, flat.shape[1] as number])
  })
  using found = await callOperatorAsync(operators.gather, [table, 2, positions], call)
  return found.reshape([versions, rows, ...index.shape.slice(1)])
}

/** A perturbation that gives each feature of each image a value. The caller disposes it. */
export async function overFeatures(
  x: Tensor,
  options: FeatureOptions,
  method: CoalitionMethod,
  call: CallOptions,
): Promise<Perturbation & Disposable> {
  const { baseline = 0 } = options
  if (baseline instanceof Tensor) checkExpands(baseline, x.shape, 'baseline')
  const { index, counts } = await numberFeatures(x, options, call)
  const rows = counts.map((features) => method(features))
  const most = Math.max(...counts)
  return {
    count: Math.max(...rows.map(({ count }) => count)),
    masks: async (from, to, running) => {
      const removed = new Uint8Array((to - from) * rows.length * most)
      for (let version = from; version < to; version++)
        for (const [row, { count, present }] of rows.entries()) {
          // An image that has fewer versions than another is scored as it is meanwhile.
          if (version >= count) continue
          const at = ((version - from) * rows.length + row) * most
          for (const [j, is] of present(version).entries()) removed[at + j] = 1 - is
        }
      using table = Tensor.from(removed, [to - from, rows.length, most], { device: x.device })
      using masks = await spread(table, index, running)
      return masks.to({ dtype: 'bool' })
    },
    apply: (input, masks, running) => replaceWhere(input, masks, baseline, running),
    accumulate: () => new FeatureValues(rows, most, index),
    [Symbol.dispose]: () => index.dispose(),
  }
}

/** Keeps the scores until all are there. */
class FeatureValues implements Accumulator {
  readonly #rows: readonly Coalitions[]
  readonly #most: number
  readonly #index: Tensor
  #scores: readonly number[] = []
  readonly #changed: number[][] = []

  constructor(rows: readonly Coalitions[], most: number, index: Tensor) {
    this.#rows = rows
    this.#most = most
    this.#index = index
  }

  async add({ from, scores, changed }: ScoredVersions): Promise<void> {
    this.#scores = scores
    for (const [image, own] of changed.entries())
      for (const [i, score] of own.entries()) (this.#changed[image] ??= [])[from + i] = score
  }

  async result(x: Tensor, options: CallOptions): Promise<Tensor> {
    const images = this.#scores.length
    const values = new Float64Array(images * this.#most)
    for (const [image, score] of this.#scores.entries()) {
      const row = this.#rows[this.#rows.length === 1 ? 0 : image] as Coalitions
      const changed = (this.#changed[image] as number[]).slice(0, row.count)
      values.set(await row.solve(score, changed, options), image * this.#most)
    }
    using wide = Tensor.from(values, [1, images, this.#most], { device: x.device })
    using index = this.#index.expand([images, ...this.#index.shape.slice(1)])
    using found = await spread(wide, index, options)
    return tidy(() =>
      found
        .select(0, 0)
        .expand(x.shape)
        .to({ dtype: attributionType(x) })
        .contiguous(),
    )
  }

  [Symbol.dispose](): void {}
}
