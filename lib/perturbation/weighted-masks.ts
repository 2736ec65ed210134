import type { CallOptions } from '../addon/abort.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { functions } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { attributionType, type Accumulator, type ScoredVersions } from './accumulator.js'

/** What a mask counts. */
export interface MaskWeights {
  /** 'coverage' is the sum of the masks, element by element. */
  readonly divisor: number | 'coverage'
  /** Of an image's score as it is, and its score in the version. */
  weight(score: number, changed: number): number
}

/**
 * sum_i weight_i mask_i / divisor, added up while versions are scored; in float64, so that the order of the terms does not
 * matter.
 */
export class WeightedMasks implements Accumulator {
  readonly #of: MaskWeights
  /** [groups, rows, elements of a mask]: images are rows where they share masks, else groups. */
  #sum: Tensor | undefined
  #shape: readonly number[] = []

  constructor(of: MaskWeights) {
    this.#of = of
  }

  async add({ masks, scores, changed }: ScoredVersions, options: CallOptions): Promise<void> {
    const [versions = 0, groups = 1] = masks.shape
    this.#shape = masks.shape.slice(2)
    const rows = changed.map((own, n) => own.map((score) => this.#of.weight(scores[n] as number, score)))
    if (this.#of.divisor === 'coverage') rows.push(Array<number>(versions).fill(1))
    const perGroup = groups === 1 ? rows.length : 1
    using factors = Tensor.from(Float64Array.from(rows.flat()), [groups, perGroup, versions], { device: masks.device })
    using grouped = tidy(() => masks.flatten(2).permute([1, 0, 2]))
    using wide = await callOperatorAsync({ ...functions.to, overloads: ['dtype'] }, [grouped, 'float64'], options)
    using before =
      this.#sum ??
      Tensor.zeros([groups, perGroup, grouped.shape[2] as number], { dtype: 'float64', device: masks.device })
    this.#sum = await callOperatorAsync(functions.baddbmm, [before, factors, wide], options)
  }

  async result(x: Tensor): Promise<Tensor> {
    const sum = this.#sum as Tensor
    const { divisor } = this.#of
    const images = x.shape[0] as number
    return tidy(() => {
      const summed = sum.flatten(0, 1)
      const weighted = summed.slice(
        0,
        0,
        sum.shape[0] === 1 ? summed.shape[0]! - (divisor === 'coverage' ? 1 : 0) : null,
      )
      const divided = weighted.div(divisor === 'coverage' ? summed.slice(0, -1) : divisor)
      return divided
        .reshape([weighted.shape[0] as number, ...this.#shape])
        .expand([images, ...x.shape.slice(1)])
        .to({ dtype: attributionType(x) })
        .contiguous()
    })
  }

  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void {
    this.#sum?.dispose()
  }
}
