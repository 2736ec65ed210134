import type { ExecutionPath } from '../explain/execution.js'
import { AttributionExplanation, type ExplanationFields } from '../explain/explanation.js'
import type { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'
import type { PerturbationMethod } from './perturbation-method.js'

interface PerturbationFields<Output extends Value> extends ExplanationFields<Output> {
  readonly attribution: Tensor
  readonly method: PerturbationMethod
  readonly runs: number
  readonly execution: ExecutionPath
}

/**
 * What {@link InputPerturbation.explain} found. Owns its tensors. The attribution is float64 for a float64 input, else float32;
 * scores are of the input as it is, for RISE of a class its probability.
 */
export class PerturbationExplanation<Output extends Value = Tensor> extends AttributionExplanation<Output> {
  readonly method: PerturbationMethod
  /** How many changed versions of each image were scored, besides the image itself. */
  readonly runs: number
  /** How the model ran on the input as it is. */
  readonly execution: ExecutionPath

  /** @internal */
  constructor(found: PerturbationFields<Output>) {
    super(found)
    this.method = found.method
    this.runs = found.runs
    this.execution = found.execution
  }
}
