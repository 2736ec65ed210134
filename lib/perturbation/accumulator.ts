import type { CallOptions } from '../addon/abort.js'
import type { Tensor } from '../tensor/tensor.js'

/** The scores of some changed versions of a batch. */
export interface ScoredVersions {
  /** The first of them. */
  readonly from: number
  /** As `Perturbation.masks` made them. */
  readonly masks: Tensor
  /** Of each image as it is. */
  readonly scores: readonly number[]
  /** Of each image, those of its versions. */
  readonly changed: readonly (readonly number[])[]
}

/** How the scores of changed versions become an attribution. */
export interface Accumulator extends Disposable {
  add(versions: ScoredVersions, options: CallOptions): Promise<void>
  /** The attribution of x, float64 for a float64 x and else float32, for the caller to dispose. */
  result(x: Tensor, options: CallOptions): Promise<Tensor>
}

/** The dtype of an attribution. */
export const attributionType = (x: Tensor): 'float64' | 'float32' => (x.dtype === 'float64' ? 'float64' : 'float32')
