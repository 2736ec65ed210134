import type { PassPlan } from '../addon/native-pass.js'
import { expect, invalid } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import type { PrecisionChoice, ReducedPrecision } from './precision-choice.js'

/**
 * How passes run. 'split': what comes before the first target layer runs frozen, optimised and without a graph, and only
 * what follows is differentiated; equal up to rounding, and faster than a plain forward. 'hooked': the model as it is, seen
 * through hooks. 'auto' (the default): split where the model can be cut at its target layers, hooked where it cannot
 * (a layer in control flow, one that runs several times, hooks of yours on the model). The first pass makes the split,
 * which takes a fraction of a second. For a gradient at the input, 'auto' splits only where the same ReLUs are open as in
 * the model itself.
 */
export type Execution = 'auto' | 'split' | 'hooked'

/** Which of the two ways a pass ran, and why it was hooked. */
export type ExecutionPath = (
  | { readonly path: 'split' }
  | {
      readonly path: 'hooked'
      readonly why: string
      /** @deprecated Use `why`. */
      readonly because: string
    }
) & {
  /** What `precision: 'auto'` chose; absent where a precision was named, or none. */
  readonly precision?: PrecisionChoice
}

/** How the passes of an explainer of layers run. */
export interface ExecutionOptions {
  readonly execution?: Execution
  /**
   * What comes before the first target layer computes in it; the rest, and the map, in float32. Maps and scores move slightly. Whether it is
   * faster depends on the processor: 'bfloat16' takes a third to a half of the time on those with AMX and on AMD's with AVX512-BF16,
   * but 1.1 to 1.4 times the time on Intel's that have AVX512-BF16 without AMX. docs/performance.md has figures.
   *
   * 'auto' measures it: the first `explain` runs its own inputs some times in each type, and takes the fastest of those whose maps
   * are near enough to those of float32 (`precisionError`). The result says in `execution.precision` what was chosen and why.
   * The measurement is kept in the user's cache folder for this model, processor, number of threads and size of image; `gradcam
   * doctor MODEL` shows it. Maps of other images may move by more than those that were measured.
   *
   * The named types need a float32 model that can be split; with 'auto' other models compute in their own type. By default the
   * model's own.
   */
  readonly precision?: ReducedPrecision | 'auto'
  /**
   * With precision 'auto': how much an element of a map, min-max normalised to [0, 1], may differ from that of float32 in the
   * images that are measured. A number from 0 on, 0.05 by default.
   */
  readonly precisionError?: number
}

/** 13 of the 255 steps of an overlay's colours: hard to see in one, and bfloat16 mostly stays below it. */
const usualError = 0.05

/** @internal The part of a plan that decides how a pass runs. */
export function toExecutionPlan(
  options: Pick<ExecutionOptions, 'execution' | 'precision'>,
): Pick<PassPlan, 'execution' | 'precision'> {
  const { execution = 'auto', precision } = expect.options(options)
  expect.oneOf('execution', execution, executions)
  if (precision !== undefined) checkPrecision('precision', precision)
  if (precision !== undefined && execution === 'hooked')
    throw new GradCamError('ERR_INVALID_ARGUMENT', "A precision requires a split model, but `execution` is 'hooked'.", {
      remedy: 'Leave one of the two out.',
    })
  return precision === undefined || precision === 'auto' ? { execution } : { execution, precision }
}

/** @internal How much maps may move where the precision is to be chosen; null where it is not. */
export function precisionLimit({ precision, precisionError }: ExecutionOptions): number | null {
  if (precisionError !== undefined && precision !== 'auto')
    throw invalid('precisionError', "left out unless `precision` is 'auto'", precisionError)
  if (precisionError !== undefined) checkPrecisionError('precisionError', precisionError)
  return precision === 'auto' ? (precisionError ?? usualError) : null
}

/** @internal */
export const checkPrecision = (name: string, value: unknown): ReducedPrecision | 'auto' =>
  expect.oneOf(name, value, precisions)

/** @internal */
export const checkPrecisionError = (name: string, value: unknown): number => expect.number(name, value, { min: 0 })

const executions = ['auto', 'split', 'hooked'] as const
const precisions = ['bfloat16', 'float16', 'auto'] as const

/** @internal The path of a pass, by why it ran hooked: empty where it ran split. */
export const executionPath = (whyHooked: string): ExecutionPath =>
  whyHooked === '' ? { path: 'split' } : { path: 'hooked', why: whyHooked, because: whyHooked }
