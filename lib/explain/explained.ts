import type { CallOptions, OnProgress } from '../addon/abort.js'
import type { NativeExplained } from '../addon/native-pass.js'
import { expect } from '../base/check.js'
import type { Model } from '../model/model.js'
import type { Target } from '../target/target.js'
import type { Tensor } from '../tensor/tensor.js'
import { disposeValue, type Value } from '../tensor/values.js'
import type { ExecutionPath } from './execution.js'

/** What every explainer's `explain` takes. */
export interface ExplainOptions<Output extends Value = Tensor> extends CallOptions {
  /** The top class of each image by default. */
  target?: Target<Output> | undefined
  /**
   * Called now and then by methods that run the model many times (Score-CAM, Ablation-CAM, integrated gradients, noisy copies,
   * perturbations): with the number of runs, or of changed inputs, that are done, and with that of all, as far as it is known. An error
   * that it throws ends the call.
   */
  onProgress?: OnProgress | undefined
}

/** @internal `onProgress` of the options, checked. */
export function progressOf({ onProgress }: Pick<ExplainOptions, 'onProgress'>): OnProgress | undefined {
  if (onProgress !== undefined) expect.function('onProgress', onProgress)
  return onProgress
}

/** What a pass was explained for. */
export interface Explained {
  /** The class explained for each image; empty when the target was a function. */
  readonly targets: readonly number[]
  /**
   * The score explained for each image; the one score of the batch when the target was a function. Like the targets empty where
   * no target was given, the output has no class, and the method needs none.
   */
  readonly scores: readonly number[]
  /**
   * The path to the part of the output that was taken, where the target names none and the output is not one tensor: the part
   * `logits`, or `out`, or the only one of shape [N, C], or the only one.
   */
  readonly of?: readonly (string | number)[]
  /** What LibTorch and the model warned of meanwhile, each text once; absent where no pass of the model's own is explained. */
  readonly warnings?: readonly string[]
}

/** @internal The part of the output that was taken without being named, where there is one. */
export const ofPart = ({ of }: Pick<NativeExplained, 'of'>): Pick<Explained, 'of'> => (of.length > 0 ? { of } : {})

/** @internal */
export function disposeExplained(explained: NativeExplained): void {
  for (const { activation, gradient } of explained.layers) for (const t of [activation, gradient]) t?.dispose()
  for (const { map, contribution } of explained.maps.flat()) for (const t of [map, contribution]) t?.dispose()
  const { concepts, maps, scores } = explained.factors ?? {}
  for (const t of [concepts, maps, scores]) t?.dispose()
  explained.inputGradient?.dispose()
  explained.fullGrad?.dispose()
  for (const { weights, gradient } of explained.attention) for (const t of [weights, gradient]) t.dispose()
}

/** @internal What a pass of its own gave. */
export interface Run<Output extends Value> {
  model: Model
  output: Output
  intercepted: number
  execution: ExecutionPath
  explained: NativeExplained
  warnings: readonly string[]
}

/** @internal */
export function disposeRun({ output, explained }: Pick<Run<Value>, 'output' | 'explained'>): void {
  disposeValue(output)
  disposeExplained(explained)
}
