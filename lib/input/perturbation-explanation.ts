import type { ExecutionPath, Explained } from '../explainer.js'
import type { Tensor } from '../tensor.js'
import { disposeValue, type Value } from '../values.js'
import type { PerturbationMethod } from './input-perturbation.js'

/** What {@link InputPerturbation.explain} found. Owns its tensors. */
export class PerturbationExplanation<Output extends Value = Tensor> implements Explained, Disposable {
  readonly method: PerturbationMethod
  /** The model's output for the input as it is. */
  readonly output: Output
  /** Of the shape of the (first) input, on the model's device; float64 for a float64 input, else float32. */
  readonly attribution: Tensor
  readonly targets: readonly number[]
  /** Of the input as it is; for RISE of a class, its probability. */
  readonly scores: readonly number[]
  /** How many changed versions of each image were scored, besides the image itself. */
  readonly runs: number
  /** How the model ran on the input as it is. */
  readonly execution: ExecutionPath

  /** @internal */
  constructor(found: {
    method: PerturbationMethod
    output: Output
    attribution: Tensor
    targets: readonly number[]
    scores: readonly number[]
    runs: number
    execution: ExecutionPath
  }) {
    this.method = found.method
    this.output = found.output
    this.attribution = found.attribution
    this.targets = found.targets
    this.scores = found.scores
    this.runs = found.runs
    this.execution = found.execution
  }

  /** That of the attribution and the input. */
  get shape(): readonly number[] {
    return this.attribution.shape
  }

  dispose(): void {
    disposeValue(this.output)
    this.attribution.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
