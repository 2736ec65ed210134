import { AttributionExplanation, type ExplanationFields } from '../explain/explanation.js'
import type { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'
import type { InputMethod } from './input-method.js'

interface AttributionFields<Output extends Value> extends ExplanationFields<Output> {
  readonly attribution: Tensor
  readonly method: InputMethod
  readonly intercepted: number | null
  readonly delta: readonly number[] | null
}

/** What {@link InputAttribution.explain} found. Owns its tensors. */
export class InputExplanation<Output extends Value = Tensor> extends AttributionExplanation<Output> {
  readonly method: InputMethod
  /**
   * How many ReLUs followed the rule of guided backprop or deconvnet, how many nonlinearities a rule of deeplift, or how many layers
   * and sums one of lrp; null for methods that have none.
   */
  readonly intercepted: number | null
  /**
   * For integrated gradients and deeplift, the convergence delta: per image (or of the batch, where the target is a function)
   * the sum of the attributions minus the score at the input plus the score at the baseline. For lrp the sum of the
   * relevance minus the score: what biases and epsilon took up. Null otherwise, and with smoothing.
   */
  readonly delta: readonly number[] | null

  /** @internal */
  constructor(found: AttributionFields<Output>) {
    super(found)
    this.method = found.method
    this.intercepted = found.intercepted
    this.delta = found.delta
  }
}
