import type { CallOptions } from '../addon/abort.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { functions } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import type { Perturbation } from './perturbation.js'

/** The sum over versions of weight times mask, and of the masks where they are the divisor; float64, so that the order of the terms does not matter. */
export class WeightedMasks implements Disposable {
  readonly #divisor: Perturbation['divisor']
  /** [groups, rows, elements of a mask]: images are rows where they share masks, else groups. */
  #sum: Tensor | undefined
  #shape: readonly number[] = []

  constructor(divisor: Perturbation['divisor']) {
    this.#divisor = divisor
  }

  /**
   * @param masks [versions, 1 or images, ...]
   * @param weights by image, then by version
   */
  async add(masks: Tensor, weights: readonly (readonly number[])[], options: CallOptions): Promise<void> {
    const [versions = 0, groups = 1] = masks.shape
    this.#shape = masks.shape.slice(2)
    const rows = [...weights]
    if (this.#divisor === 'coverage') rows.push(Array<number>(versions).fill(1))
    const perGroup = groups === 1 ? rows.length : 1
    using factors = Tensor.from(Float64Array.from(rows.flat()), [groups, perGroup, versions], { device: masks.device })
    using grouped = tidy(() => masks.flatten(2).permute([1, 0, 2]))
    using wide = await callOperatorAsync({ ...functions.to, overloads: ['dtype'] }, [grouped, 'float64'], options)
    using before =
      this.#sum ??
      Tensor.zeros([groups, perGroup, grouped.shape[2] as number], { dtype: 'float64', device: masks.device })
    this.#sum = await callOperatorAsync(functions.baddbmm, [before, factors, wide], options)
  }

  /** The attribution of x, float64 for a float64 x and else float32. */
  result(x: Tensor): Tensor {
    const sum = this.#sum as Tensor
    const divisor = this.#divisor
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
        .to({ dtype: x.dtype === 'float64' ? 'float64' : 'float32' })
        .contiguous()
    })
  }

  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void {
    this.#sum?.dispose()
  }
}
