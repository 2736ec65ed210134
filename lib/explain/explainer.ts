import { cancellable, type CallOptions, type OnProgress } from '../addon/abort.js'
import type { NativeExplained, NativeValue, PassHandle, PassPlan } from '../addon/binding.js'
import { native } from '../addon/native.js'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { BusyPoll } from '../addon/busy-poll.js'
import { rememberModel, rememberRows, rowsOf } from '../model/model-notes.js'
import { checkModel, toPositional, type Model } from '../model/model.js'
import { scoreOf, toNativeTarget, type Target, type TargetOptions } from '../target/target.js'
import { Tensor, tidy } from '../tensor/tensor.js'
import { topClasses } from '../target/top-classes.js'
import { disposeValue, shareValue, unwrapValue, wrapValue, type Value } from '../tensor/values.js'

import { joinWarnings } from './warnings.js'

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
   * What comes before the first target layer computes in it; the rest, and the map, in float32. 'bfloat16' is about twice
   * as fast on CPUs that have it (AVX512-BF16, AMX) and on GPUs, and moves maps slightly: docs/performance.md has figures.
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

const executionPath = (whyHooked: string): ExecutionPath =>
  whyHooked === '' ? { path: 'split' } : { path: 'hooked', why: whyHooked, because: whyHooked }

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

export function disposeExplained(explained: NativeExplained): void {
  for (const { activation, gradient } of explained.layers) for (const t of [activation, gradient]) t?.dispose()
  for (const { map } of explained.maps.flat()) map.dispose()
  explained.inputGradient?.dispose()
  explained.fullGrad?.dispose()
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

/** What a plan needs of the model's format. A frozen model is refused by its layers, with how to save it. */
function checkCapabilities({ capabilities }: Model, plan: PassPlan): void {
  const { splittable, differentiable } = capabilities
  if (!splittable && (plan.execution === 'split' || plan.precision !== undefined))
    throw new GradCamError(
      'ERR_NOT_SPLITTABLE',
      "Models of this format cannot be split, which a reduced precision and execution 'split' require.",
      { remedy: 'Leave both options out.' },
    )
  if (!differentiable && (plan.inputGradient || plan.guided !== 'none'))
    throw new GradCamError('ERR_NO_GRADIENT', 'Models of this format have no gradients.', {
      remedy: 'Use a method that needs none, such as Occlusion, RISE or Eigen-CAM.',
    })
}

/**
 * The part that all explainers share: a forward pass, backward passes through it, and their results.
 * All state belongs to the explainer, so that two of them on one model never see each other's.
 */
export abstract class Explainer implements Disposable {
  readonly model: Model
  readonly #pass: PassHandle
  readonly #busyPoll = new BusyPoll()
  #closed = false
  /** The output of the last forward, with its graph, for target functions. The caller has a tensor of its own. */
  #output: Value | undefined
  #explained: NativeExplained | undefined
  #intercepted: number | undefined
  /** Of the last forward. */
  #warnings: readonly string[] = []
  #execution: ExecutionPath | undefined
  /** How many forwards were started, and the number of the last that failed. */
  #forwards = 0
  #failed = -1

  /** Refuses what the model cannot do, and layers that it does not have. */
  protected constructor(model: Model, plan: PassPlan) {
    checkCapabilities(checkModel(model), plan)
    this.model = model
    rememberModel(model)
    this.#pass = native().pass(model.handle, plan)
  }

  /**
   * Runs the model and keeps what `backward` needs. Results of an earlier pass are dropped.
   *
   * @param inputs the input, or an array of all positional inputs
   * @returns the model's output, e.g. logits [N, C], for the caller to dispose
   */
  async forward<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    options: CallOptions = {},
  ): Promise<Output> {
    const { signal } = expect.options(options)
    this.assertOpen()
    this.#forget()
    const turn = ++this.#forwards
    const { output, kept, intercepted, execution, warnings } = await this.#forwardIn(this.#pass, inputs, signal).catch(
      (error: unknown) => {
        this.#failed = turn // results of an earlier forward on the native side must not be explained instead
        throw error
      },
    )
    if (this.#closed) disposeValue(kept)
    else {
      this.#forget() // of a forward that was started later, or at the same time
      this.#output = kept
      this.#intercepted = intercepted
      this.#execution = execution
      this.#warnings = warnings
    }
    return output as Output
  }

  /** A forward in a pass: the output for the caller, and a second handle with its graph for target functions. */
  async #forwardIn(
    pass: PassHandle,
    inputs: Value | readonly Value[],
    signal: AbortSignal | undefined,
  ): Promise<{
    output: Value
    kept: Value
    intercepted: number
    execution: ExecutionPath
    warnings: readonly string[]
  }> {
    const { output, kept, intercepted, whyHooked, warnings } = await cancellable(
      signal,
      (ticket) => pass.forward(toPositional(this.model, inputs).map(unwrapValue), ticket),
      (late) => disposeValue(wrapValue([late.output, late.kept] as NativeValue)),
    )
    const execution = executionPath(whyHooked)
    return {
      output: wrapValue(output),
      kept: wrapValue(kept),
      intercepted,
      execution,
      warnings: joinWarnings(warnings),
    }
  }

  /**
   * Differentiates a score of the last forward pass. May be called again, for another target.
   *
   * @throws GradCamError ERR_NO_FORWARD, ERR_TARGET, ERR_TARGET_COUNT, ERR_TARGET_OUT_OF_RANGE, ERR_LAYER_NOT_REACHED,
   *   ERR_NO_GRADIENT, ERR_NO_RELU
   */
  async backward<Output extends Value = Tensor>(
    target?: Target<Output>,
    options: Omit<ExplainOptions<Output>, 'target'> = {},
  ): Promise<Explained> {
    const { signal } = expect.options(options)
    const onProgress = progressOf(options)
    this.assertOpen()
    if (this.#failed === this.#forwards)
      throw new GradCamError('ERR_NO_FORWARD', 'The last forward(input) failed or was aborted: call it again first.')
    const explained = await this.#differentiate(this.#pass, this.#output, target, { signal, onProgress })
    if (this.#explained) disposeExplained(this.#explained)
    if (this.#closed) disposeExplained(explained)
    else this.#explained = explained
    const warnings = joinWarnings(this.#warnings, explained.warnings)
    const { classes: targets, scores } = explained
    return { targets, scores, warnings, ...ofPart(explained) }
  }

  async #differentiate<Output extends Value>(
    pass: PassHandle,
    output: Value | undefined,
    target: Target<Output> | undefined,
    { signal, onProgress }: Pick<ExplainOptions, 'signal' | 'onProgress'>,
  ): Promise<NativeExplained> {
    if (typeof target !== 'function') {
      using nativeTarget = toNativeTarget(target)
      const explained = await cancellable(
        signal,
        (ticket) => pass.backward(nativeTarget.target, ticket),
        disposeExplained,
        onProgress,
      )
      rememberRows(this.model, explained.rows)
      return explained
    }
    if (output === undefined)
      throw new GradCamError('ERR_NO_FORWARD', 'There is nothing to explain yet: call forward(input) first.')
    using score = tidy(() => scoreOf(target, output as Output).clone())
    return await cancellable(signal, (ticket) => pass.backward(score.handle, ticket), disposeExplained)
  }

  /** Forward and backward in a pass of its own: calls of it may overlap, and what `forward` left here stays. */
  protected async run<Output extends Value>(
    inputs: Value | readonly Value[],
    options: ExplainOptions<Output>,
  ): Promise<Run<Output>> {
    const { target, signal } = expect.options(options)
    const onProgress = progressOf(options)
    this.assertOpen()
    if (typeof target !== 'function') {
      using nativeTarget = toNativeTarget(target)
      const result = await this.#busyPoll.while(() =>
        cancellable(
          signal,
          (ticket) =>
            this.#pass.explain(toPositional(this.model, inputs).map(unwrapValue), nativeTarget.target, ticket),
          (late) => {
            disposeExplained(late)
            disposeValue(wrapValue(late.output))
          },
          onProgress,
        ),
      )
      const execution = executionPath(result.whyHooked)
      rememberRows(this.model, result.rows)
      return {
        model: this.model,
        output: wrapValue(result.output) as Output,
        intercepted: result.intercepted,
        execution,
        explained: result,
        warnings: joinWarnings(result.warnings),
      }
    }
    const pass = this.#pass.fork()
    try {
      const { kept, ...found } = await this.#forwardIn(pass, inputs, signal)
      const output = found.output as Output
      try {
        const explained = await this.#differentiate(pass, kept, target, { signal })
        const warnings = joinWarnings(found.warnings, explained.warnings)
        return { ...found, model: this.model, output, explained, warnings }
      } catch (error) {
        disposeValue(output)
        throw error
      } finally {
        disposeValue(kept)
      }
    } finally {
      pass.dispose()
    }
  }

  /**
   * Whether several copies of the inputs may run in one batch: not where an image was seen to come out differently beside
   * another one. The first call for a model finds out, by two small runs.
   */
  protected async runsInBatches(inputs: Value | readonly Value[], signal: AbortSignal | undefined): Promise<boolean> {
    this.assertOpen()
    const known = rowsOf(this.model)
    if (known) return known.independent
    const values = toPositional(this.model, inputs).map(unwrapValue)
    const rows = await cancellable(signal, (ticket) => this.#pass.probe(values, ticket))
    rememberRows(this.model, rows)
    return rows.independent
  }

  /** One forward, and a backward for each of the top `k` classes. */
  protected async runTop(
    inputs: Value | readonly Value[],
    k: number,
    options: CallOptions & TargetOptions,
  ): Promise<Run<Value>[]> {
    const { of, signal } = expect.options(options)
    this.assertOpen()
    const pass = this.#pass.fork()
    const found: Run<Value>[] = []
    let first: Value | undefined
    let kept: Value | undefined
    try {
      const result = await this.#forwardIn(pass, inputs, signal)
      first = result.output
      kept = result.kept
      const part = of ?? (first instanceof Tensor ? [] : await this.#likelyPart(pass, signal))
      for (const classes of topClasses(first, k, part)) {
        const target = { kind: 'class', class: classes, of: part } as const
        const explained = await this.#differentiate(pass, undefined, target, { signal })
        const { intercepted, execution } = result
        const warnings = joinWarnings(result.warnings, explained.warnings)
        found.push({ model: this.model, output: shareValue(first), intercepted, execution, explained, warnings })
      }
      return found
    } catch (error) {
      for (const { output, explained } of found) {
        disposeValue(output)
        disposeExplained(explained)
      }
      throw error
    } finally {
      disposeValue([first ?? null, kept ?? null])
      pass.dispose()
    }
  }

  /** The part of an output of several that a class is taken from where none is named. */
  async #likelyPart(pass: PassHandle, signal: AbortSignal | undefined): Promise<readonly (string | number)[]> {
    const top = await this.#differentiate(pass, undefined, 'argmax', { signal })
    disposeExplained(top)
    return top.of
  }

  /** The results of the last backward. */
  protected get explained(): NativeExplained {
    this.assertOpen()
    if (!this.#explained)
      throw new GradCamError('ERR_NO_BACKWARD', 'There is no gradient yet: call backward(target) after forward(input).')
    return this.#explained
  }

  /** How many ReLUs of the last forward follow the guided rule. */
  protected get intercepted(): number {
    this.assertOpen()
    if (this.#intercepted === undefined)
      throw new GradCamError('ERR_NO_FORWARD', 'There is nothing to count yet: call forward(input) first.')
    return this.#intercepted
  }

  /** How the last forward ran. */
  get execution(): ExecutionPath {
    this.assertOpen()
    if (this.#execution === undefined)
      throw new GradCamError('ERR_NO_FORWARD', 'Nothing has run yet: call forward(input) first.')
    return this.#execution
  }

  protected assertOpen(): void {
    if (this.#closed) throw new GradCamError('ERR_CLOSED', 'This explainer was closed.', { remedy: 'Make a new one.' })
    void this.model.handle // refuses a model that was disposed
  }

  #forget(): void {
    disposeValue(this.#output)
    if (this.#explained) disposeExplained(this.#explained)
    this.#output = this.#explained = this.#intercepted = this.#execution = undefined
    this.#warnings = []
  }

  /** Frees all that the explainer holds. The model stays as it was. Safe to call again. */
  dispose(): void {
    this.#forget()
    this.#closed = true
    this.#pass.dispose()
  }

  /** The same as `dispose`, by the name of the Python reference. */
  close(): void {
    this.dispose()
  }

  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}
