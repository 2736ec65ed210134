import type { PassPlan } from '../addon/native-pass.js'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'

/**
 * How passes run. 'split': what comes before the first target layer runs frozen, optimised and without a graph, and only
 * what follows is differentiated; equal up to rounding, and faster than a plain forward. 'hooked': the model as it is, seen
 * through hooks. 'auto' (the default): split where the model can be cut at its target layers, hooked where it cannot
 * (a layer in control flow, one that runs several times, hooks of yours on the model). The first pass makes the split,
 * which takes a fraction of a second.
 */
export type Execution = 'auto' | 'split' | 'hooked'

/** Which of the two ways a pass ran, and why it was hooked. */
export type ExecutionPath =
  | { readonly path: 'split' }
  | {
      readonly path: 'hooked'
      readonly why: string
      /** @deprecated Use `why`. */
      readonly because: string
    }

/** How the passes of an explainer of layers run. */
export interface ExecutionOptions {
  readonly execution?: Execution
  /**
   * What comes before the first target layer computes in it; the rest, and the map, in float32. Maps move slightly. Whether it is
   * faster depends on the processor: 'bfloat16' takes a third to a half of the time on those with AMX and on AMD's with AVX512-BF16,
   * but 1.1 to 1.4 times the time on Intel's that have AVX512-BF16 without AMX. docs/performance.md has figures; measure yours.
   * Needs a float32 model that can be split. By default the model's own.
   */
  readonly precision?: 'bfloat16' | 'float16'
}

/** @internal The part of a plan that decides how a pass runs. */
export function toExecutionPlan(options: ExecutionOptions): Pick<PassPlan, 'execution' | 'precision'> {
  const { execution = 'auto', precision } = expect.options(options)
  expect.oneOf('execution', execution, executions)
  if (precision !== undefined) expect.oneOf('precision', precision, precisions)
  if (precision !== undefined && execution === 'hooked')
    throw new GradCamError('ERR_INVALID_ARGUMENT', "A precision requires a split model, but `execution` is 'hooked'.", {
      remedy: 'Leave one of the two out.',
    })
  return precision === undefined ? { execution } : { execution, precision }
}

const executions = ['auto', 'split', 'hooked'] as const
const precisions = ['bfloat16', 'float16'] as const

/** @internal The path of a pass, by why it ran hooked: empty where it ran split. */
export const executionPath = (whyHooked: string): ExecutionPath =>
  whyHooked === '' ? { path: 'split' } : { path: 'hooked', why: whyHooked, because: whyHooked }
