import type { CallOptions, OnProgress } from '../addon/abort.js'
import type { MapCondition } from '../explain/condition.js'
import type { PrecisionChoice } from '../explain/precision-choice.js'
import type { Target } from '../target/target.js'
import type { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'
import type { MethodName } from './table.js'

/** The maps of a batch that one method made at one layer. */
export interface MethodMap {
  readonly method: MethodName
  /** Null for a method that requires no layer. */
  readonly layer: string | null
  /** [N, 1, h, w] over the whole input, not normalised. The caller disposes it. */
  readonly map: Tensor
  /** How many ReLUs followed the rule of the method; null for a method without such a rule. */
  readonly intercepted: number | null
  /**
   * Per image, the sum of the attributions less the change of the score, which a complete method makes 0; null for other
   * methods.
   */
  readonly delta: readonly number[] | null
  /** For each image, whether the map says something, and if not, why. */
  readonly conditions: readonly MapCondition[]
  /** How often the pass called the layer; null for a method that requires none. See `CamOptions.call`. */
  readonly calls: number | null
}

/** A method that made no maps, and why. */
export interface MethodFailure {
  readonly method: MethodName
  /** A GradCamError for every error of this package. */
  readonly error: unknown
}

/** The maps of a batch that methods made in the passes that they share. The caller disposes the output and the maps. */
export interface MethodMaps {
  /** The model's output, e.g. logits [N, C]. */
  readonly output: Value
  /** The class that was explained, per image. */
  readonly targets: readonly number[]
  /** The score of that class, per image. */
  readonly scores: readonly number[]
  /** By layer, and within a layer by method; at least one. */
  readonly maps: readonly MethodMap[]
  /** The methods that made no maps while others did. */
  readonly failures: readonly MethodFailure[]
  /** What LibTorch and the model warned of meanwhile, each text once. */
  readonly warnings?: readonly string[]
  /** What `precision: 'auto'` chose; absent where it was not given. */
  readonly precision?: PrecisionChoice
  /** The path to the part of the output that was taken where none was named; absent where the output is one tensor. */
  readonly of?: readonly (string | number)[]
}

/** A target that can be given to several methods in turn. */
export type MapTarget = Exclude<Target<Value>, Function>

/** Makes the maps of methods that share their passes. */
export interface MapExplainer extends Disposable {
  readonly methods: readonly MethodName[]
  /**
   * Explains a batch [N, C, H, W], or of other spatial dimensions. Calls may overlap.
   *
   * @throws GradCamError as the class of the methods, e.g. `Cam`, does
   */
  explain(
    input: Tensor,
    options: CallOptions & { target: MapTarget; onProgress?: OnProgress | undefined },
  ): Promise<MethodMaps>
  /**
   * Explains a batch for one target after another, with one forward pass where the methods allow that. Calls must not
   * overlap.
   *
   * @param onProgress see {@link ExplainOptions.onProgress}; for one target at a time
   */
  explainEach(
    input: Tensor,
    targets: Iterable<MapTarget>,
    onProgress?: OnProgress,
  ): AsyncGenerator<MethodMaps, void, undefined>
}
