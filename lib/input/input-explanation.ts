import type { Explained } from '../explainer.js'
import type { Tensor } from '../tensor.js'
import { disposeValue, type Value } from '../values.js'
import type { InputMethod } from './input-attribution.js'

/** What {@link InputAttribution.explain} found. Owns its tensors. */
export class InputExplanation<Output extends Value = Tensor> implements Explained, Disposable {
  readonly method: InputMethod
  /** The model's output for the input as it is, off the graph. */
  readonly output: Output
  /** Of the shape of the (first) input. */
  readonly attribution: Tensor
  readonly targets: readonly number[]
  readonly scores: readonly number[]
  /**
   * How many ReLUs followed the rule of guided backprop or deconvnet, or how many nonlinearities a rule of deeplift; null for
   * methods that have none.
   */
  readonly intercepted: number | null
  /**
   * For integrated gradients and deeplift, how far the attributions are from adding up: per image (or of the batch, where the target is
   * a function) their sum less the score at the input plus the score at the baseline. Null otherwise, and with smoothing.
   */
  readonly delta: readonly number[] | null

  /** @internal */
  constructor(found: {
    method: InputMethod
    output: Output
    attribution: Tensor
    targets: readonly number[]
    scores: readonly number[]
    intercepted: number | null
    delta: readonly number[] | null
  }) {
    this.method = found.method
    this.output = found.output
    this.attribution = found.attribution
    this.targets = found.targets
    this.scores = found.scores
    this.intercepted = found.intercepted
    this.delta = found.delta
  }

  dispose(): void {
    disposeValue(this.output)
    this.attribution.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
