import { cancellable, type WatchedOptions } from '../addon/abort.js'
import { BusyPoll } from '../addon/busy-poll.js'
import { native } from '../addon/native.js'
import type { NativeExplained, PassHandle, PassPlan } from '../addon/native-pass.js'
import type { NativeValue } from '../addon/native-values.js'
import { GradCamError } from '../base/errors.js'
import { rememberModel, rememberRows, rowsOf } from '../model/model-notes.js'
import { toPositional, type Model } from '../model/model.js'
import { scoreOf, toNativeTarget, type Target } from '../target/target.js'
import { tidy } from '../tensor/tidy.js'
import { disposeValue, unwrapValue, wrapValue, type Value } from '../tensor/values.js'
import { executionPath, type ExecutionPath } from './execution.js'
import { disposeExplained } from './explained.js'
import { joinWarnings } from './warnings.js'

/** What a forward of a pass gave. */
export interface Forward {
  /** For the caller. */
  readonly output: Value
  /** The same with its graph, for target functions. */
  readonly kept: Value
  readonly intercepted: number
  readonly execution: ExecutionPath
  readonly warnings: readonly string[]
}

/** The addon's pass of a model: its values, errors and cancellation are those of this package. It keeps no results itself. */
export class Pass implements Disposable {
  readonly #model: Model
  readonly #handle: PassHandle
  readonly #busyPoll = new BusyPoll()

  private constructor(model: Model, handle: PassHandle) {
    this.#model = model
    this.#handle = handle
  }

  /** Refuses layers that the model does not have. */
  static of(model: Model, plan: PassPlan): Pass {
    rememberModel(model)
    return new Pass(model, native().pass(model.handle, plan))
  }

  /** Another pass of the same plan, which shares the split model. */
  fork(): Pass {
    return new Pass(this.#model, this.#handle.fork())
  }

  async forward(inputs: Value | readonly Value[], signal: AbortSignal | undefined): Promise<Forward> {
    const { output, kept, intercepted, whyHooked, warnings } = await cancellable(
      signal,
      (ticket) => this.#handle.forward(this.#positional(inputs), ticket),
      (late) => disposeValue(wrapValue([late.output, late.kept] as NativeValue)),
    )
    return {
      output: wrapValue(output),
      kept: wrapValue(kept),
      intercepted,
      execution: executionPath(whyHooked),
      warnings: joinWarnings(warnings),
    }
  }

  /** Differentiates a score of the last forward. `kept` is that of it, for a target function. */
  async backward<Output extends Value>(
    target: Target<Output> | undefined,
    kept: Value | undefined,
    { signal, onProgress }: WatchedOptions,
  ): Promise<NativeExplained> {
    if (typeof target !== 'function') {
      using nativeTarget = toNativeTarget(target)
      const explained = await cancellable(
        signal,
        (ticket) => this.#handle.backward(nativeTarget.target, ticket),
        disposeExplained,
        onProgress,
      )
      rememberRows(this.#model, explained.rows)
      return explained
    }
    if (kept === undefined)
      throw new GradCamError('ERR_NO_FORWARD', 'There is nothing to explain yet: call forward(input) first.')
    using score = tidy(() => scoreOf(target, kept as Output).clone())
    return await cancellable(signal, (ticket) => this.#handle.backward(score.handle, ticket), disposeExplained)
  }

  /** Forward and backward in one call, which leaves nothing in the pass. Not for target functions. */
  async explain<Output extends Value>(
    inputs: Value | readonly Value[],
    target: Exclude<Target<Output>, Function> | undefined,
    { signal, onProgress }: WatchedOptions,
  ): Promise<Omit<Forward, 'kept'> & { readonly explained: NativeExplained }> {
    using nativeTarget = toNativeTarget(target)
    const explained = await this.#busyPoll.while(() =>
      cancellable(
        signal,
        (ticket) => this.#handle.explain(this.#positional(inputs), nativeTarget.target, ticket),
        (late) => {
          disposeExplained(late)
          disposeValue(wrapValue(late.output))
        },
        onProgress,
      ),
    )
    rememberRows(this.#model, explained.rows)
    return {
      output: wrapValue(explained.output),
      intercepted: explained.intercepted,
      execution: executionPath(explained.whyHooked),
      warnings: joinWarnings(explained.warnings),
      explained,
    }
  }

  /** The part of the last forward's output of several that a class is taken from where none is named. */
  async likelyPart(signal: AbortSignal | undefined): Promise<readonly (string | number)[]> {
    const top = await this.backward('argmax', undefined, { signal })
    disposeExplained(top)
    return top.of
  }

  /**
   * Whether several copies of the inputs may run in one batch: not where an image was seen to come out differently beside
   * another one. The first call for a model finds out, by two small runs.
   */
  async runsInBatches(inputs: Value | readonly Value[], signal: AbortSignal | undefined): Promise<boolean> {
    const known = rowsOf(this.#model)
    if (known) return known.independent
    const values = this.#positional(inputs)
    const rows = await cancellable(signal, (ticket) => this.#handle.probe(values, ticket))
    rememberRows(this.#model, rows)
    return rows.independent
  }

  #positional(inputs: Value | readonly Value[]): NativeValue[] {
    return toPositional(this.#model, inputs).map(unwrapValue)
  }

  dispose(): void {
    this.#handle.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
