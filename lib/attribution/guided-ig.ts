import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { fromBaseline } from './baseline.js'
import type { ManyPassMethod, ManyPassSettings } from './many-passes.js'
import { smallest } from './select.js'

type PathBounds = Pick<ManyPassSettings, 'fraction' | 'maxDistance'>

/** As near to the target distance as this ends a step. */
const epsilon = 1e-9

const isClose = (a: number, b: number): boolean =>
  Math.abs(a - b) <= Math.max(epsilon * Math.max(Math.abs(a), Math.abs(b)), epsilon)

/** The path of one image: where it is, and what its elements were attributed so far. */
class GuidedPath {
  readonly attribution: Float64Array
  readonly at: Float64Array
  readonly #input: Float64Array
  readonly #baseline: Float64Array
  readonly #whole: number

  constructor(input: Float64Array, baseline: Float64Array) {
    this.#input = input
    this.#baseline = baseline
    this.at = baseline.slice()
    this.attribution = new Float64Array(input.length)
    this.#whole = this.#distance()
  }

  /** The L1 distance to the input. */
  #distance(): number {
    let sum = 0
    for (let i = 0; i < this.at.length; i++) sum += Math.abs((this.at[i] as number) - (this.#input[i] as number))
    return sum
  }

  #onLine(i: number, share: number): number {
    const start = this.#baseline[i] as number
    return start + ((this.#input[i] as number) - start) * share
  }

  /**
   * The elements with the least gradients go on, until the distance to the input is what it should be.
   *
   * @param share of the straight line covered after this step
   */
  advance(gradient: Float64Array, share: number, { fraction, maxDistance }: PathBounds): void {
    if (this.#whole === 0) return
    const { at, attribution } = this
    const [least, most] = [Math.max(share - maxDistance, 0), Math.min(share + maxDistance, 1)]
    const goal = this.#whole * (1 - share)
    const sizes = gradient.map(Math.abs)
    for (let gamma = Infinity; gamma > 1;) {
      const before = at.slice()
      for (let i = 0; i < at.length; i++) {
        const start = this.#baseline[i] as number
        const way = (this.#input[i] as number) - start
        if (way !== 0 && ((at[i] as number) - start) / way < least) at[i] = this.#onLine(i, least)
      }
      const now = this.#distance()
      if (isClose(goal, now)) gamma = 0
      else {
        for (let i = 0; i < at.length; i++) if (at[i] === this.#onLine(i, most)) sizes[i] = Infinity
        const threshold = smallest(sizes, Math.floor(fraction * (sizes.length - 1)))
        const chosen = (i: number) => (sizes[i] as number) <= threshold && sizes[i] !== Infinity
        let movable = 0
        for (let i = 0; i < at.length; i++)
          if (chosen(i)) movable += Math.abs((at[i] as number) - this.#onLine(i, most))
        if (!(movable > 0)) return // gradients that are not numbers choose nothing
        gamma = (now - goal) / movable
        for (let i = 0; i < at.length; i++) {
          if (!chosen(i)) continue
          const end = this.#onLine(i, most)
          const own = at[i] as number
          at[i] = gamma > 1 ? end : own + (end - own) * gamma
        }
      }
      for (let i = 0; i < at.length; i++)
        attribution[i] =
          (attribution[i] as number) + ((at[i] as number) - (before[i] as number)) * (gradient[i] as number)
    }
  }
}

/**
 * Guided integrated gradients: the integral of the gradient on a path from the baseline to x on which, step by step, the
 * elements with the least gradients go first, none further from the straight line than `maxDistance`. Kapishnikov et al. 2021,
 * "Guided Integrated Gradients: an Adaptive Path Method for Removing Noise", arXiv:2106.09788, algorithm 1, with the bounds of
 * section 4.3 as PAIR's saliency has them.
 */
export const guidedIg: ManyPassMethod = {
  steps: 200,
  complete: true,
  async attribute({ x, copies }, passes, { steps, baseline, fraction, maxDistance }) {
    const rows = x.shape[0] ?? 1
    using path = fromBaseline(baseline, x, copies)
    const each = (tensor: Tensor): Float64Array[] => {
      using exact = tidy(() => tensor.detach().to({ dtype: 'float64', device: 'cpu' }).contiguous())
      const values = exact.toTypedArray() as Float64Array
      const size = values.length / rows
      return Array.from({ length: rows }, (_, row) => values.slice(row * size, (row + 1) * size))
    }
    const together = (list: readonly Float64Array[]): Tensor => {
      const values = new Float64Array(x.size)
      list.forEach((own, row) => values.set(own, row * own.length))
      return tidy(() => Tensor.from(values, [...x.shape], { device: x.device }).to({ dtype: x.dtype }))
    }
    const starts = each(path.start)
    const paths = each(x).map((input, row) => new GuidedPath(input, starts[row] as Float64Array))
    for (let step = 0; step < steps; step++) {
      using inputs = together(paths.map(({ at }) => at))
      using pass = await passes.run(inputs, copies)
      each(pass.gradient).forEach((gradient, row) =>
        paths[row]?.advance(gradient, (step + 1) / steps, { fraction, maxDistance }),
      )
    }
    return together(paths.map(({ attribution }) => attribution))
  },
}
