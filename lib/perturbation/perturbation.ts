import type { CallOptions } from '../addon/abort.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { GradCamError } from '../base/errors.js'
import { operators } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import type { Accumulator } from './accumulator.js'

/** Changed versions of an input x [N, ...], and how their scores become an attribution. */
export interface Perturbation {
  /** How many versions are scored. */
  readonly count: number
  /**
   * The masks of the versions `from` up to, not including, `to`: [versions, 1 or N, ...], of as many dimensions as x and one
   * more, each of x's size or 1. Where all images share them there is one.
   */
  masks(from: number, to: number, options: CallOptions): Promise<Tensor>
  /** The versions themselves: [versions, N, ...], of x [1, N, ...], `from` being the number of the first. */
  apply(x: Tensor, masks: Tensor, options: CallOptions & { readonly from: number }): Promise<Tensor>
  /** For the scores of one call. */
  accumulate(): Accumulator
}

/** The value of removed elements: a number for all, or a tensor that can be expanded to the input. */
export type Baseline = number | Tensor

/** x where a boolean mask is false, the baseline where it is true. */
export async function replaceWhere(
  x: Tensor,
  masks: Tensor,
  baseline: Baseline,
  options: CallOptions,
): Promise<Tensor> {
  const { dtype, device } = x
  using value =
    baseline instanceof Tensor ? baseline.to({ dtype, device }) : Tensor.full([1], baseline, { dtype, device })
  return await callOperatorAsync(operators.where, [masks, value, x], options)
}

/** Refuses a tensor that cannot be expanded to `shape`. */
export function checkExpands(tensor: Tensor, shape: readonly number[], what: string): void {
  const own = [...tensor.shape].reverse()
  const expected = [...shape].reverse()
  if (own.length <= expected.length && own.every((size, i) => size === 1 || size === expected[i])) return
  throw new GradCamError(
    'ERR_SHAPE',
    `The ${what} has the shape [${tensor.shape.join(', ')}], which cannot be expanded to the input's [${shape.join(', ')}].`,
    { details: { shape: tensor.shape, expected: shape } },
  )
}
