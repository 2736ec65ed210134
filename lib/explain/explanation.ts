import type { Explained } from './explained.js'
import { notesOf, type ModelNote } from '../model/model-notes.js'
import type { Model } from '../model/model.js'
import type { MapCondition } from './condition.js'
import type { Tensor } from '../tensor/tensor.js'
import { disposeValue, type Value } from '../tensor/values.js'

/** The fields that every explanation has. */
export interface ExplanationFields<Output extends Value> extends Explained {
  readonly model: Model
  readonly output: Output
  readonly conditions: readonly MapCondition[]
}

/** An explanation that is one tensor, and the output that it explains. It owns both. */
export abstract class TensorExplanation<Output extends Value> implements Explained, Disposable {
  /** The model's output for the input as it is, e.g. logits [N, C], off the graph. */
  readonly output: Output
  readonly targets: readonly number[]
  readonly scores: readonly number[]
  /** The path to the part of the output that was taken where none was named; absent where the output is one tensor. */
  declare readonly of?: readonly (string | number)[]
  /** For each image, whether the result says something, and if not, why. */
  readonly conditions: readonly MapCondition[]
  /** What makes results of this model depend on more than the image: nothing for most models. */
  readonly notes: readonly ModelNote[]
  /** What LibTorch and the model warned of meanwhile, each text once. */
  readonly warnings: readonly string[]
  readonly #found: Tensor

  protected constructor(explained: ExplanationFields<Output>, found: Tensor) {
    const { model, output, targets, scores, conditions, warnings = [], of } = explained
    if (of) this.of = of
    this.conditions = conditions
    this.notes = notesOf(model)
    this.output = output
    this.targets = targets
    this.scores = scores
    this.warnings = warnings
    this.#found = found
  }

  /** Of the tensor. */
  get shape(): readonly number[] {
    return this.#found.shape
  }

  /** Frees both. Safe to call again. */
  dispose(): void {
    disposeValue(this.output)
    this.#found.dispose()
  }

  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** An explanation that is a number for each element of the (first) input. */
export abstract class AttributionExplanation<Output extends Value> extends TensorExplanation<Output> {
  /** Of the shape of the (first) input, on the model's device. */
  readonly attribution: Tensor

  protected constructor(fields: ExplanationFields<Output> & { readonly attribution: Tensor }) {
    super(fields, fields.attribution)
    this.attribution = fields.attribution
  }
}
