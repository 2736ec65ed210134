import type { CallOptions, OnProgress, WatchedOptions } from '../addon/abort.js'
import type { NativeExplained, PassPlan } from '../addon/native-pass.js'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { takesAtOnce } from '../model/images-at-once.js'
import { learnImagesAtOnce, orAtOnce } from '../model/learn-images-at-once.js'
import { checkModel, type Model } from '../model/model.js'
import type { Target, TargetOptions } from '../target/target.js'
import type { Tensor } from '../tensor/tensor.js'
import { disposeValue, type Value } from '../tensor/values.js'
import type { ExecutionPath } from './execution.js'
import { disposeExplained, ofPart, progressOf, type Explained, type ExplainOptions, type Run } from './explained.js'
import { Pass } from './pass.js'
import type { PrecisionChoice } from './precision-choice.js'
import { PrecisionChooser } from './precision-chooser.js'
import { explainTop, explainTopInParts } from './top-runs.js'
import { joinWarnings } from './warnings.js'

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

const withPrecision = (execution: ExecutionPath, precision: PrecisionChoice | undefined): ExecutionPath =>
  precision ? { ...execution, precision } : execution

/**
 * The part that all explainers share: a forward pass, backward passes through it, and their results.
 * All state belongs to the explainer, so that two of them on one model never see each other's.
 */
export abstract class Explainer implements Disposable {
  readonly model: Model
  readonly #pass: Pass
  /** Where the precision is to be chosen. */
  readonly #chooser: PrecisionChooser | undefined
  /** The pass of the last forward, for `backward`. */
  #current: Pass
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

  /**
   * Refuses what the model cannot do, and layers that it does not have.
   *
   * @param precisionLimit where the precision is to be chosen: see `precisionError`
   */
  protected constructor(model: Model, plan: PassPlan, precisionLimit: number | null = null) {
    checkCapabilities(checkModel(model), plan)
    this.model = model
    this.#pass = this.#current = Pass.of(model, plan)
    if (precisionLimit !== null) this.#chooser = new PrecisionChooser(model, plan, precisionLimit)
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
    const [forward, precision] = await this.#use(this.#chooser?.choice, async (pass) => {
      this.#current = pass
      return await pass.forward(inputs, signal)
    }).catch((error: unknown) => {
      this.#failed = turn // results of an earlier forward on the native side must not be explained instead
      throw error
    })
    const { output, kept, intercepted, execution, warnings } = forward
    if (this.#closed) disposeValue(kept)
    else {
      this.#forget() // of a forward that was started later, or at the same time
      this.#output = kept
      this.#intercepted = intercepted
      this.#execution = withPrecision(execution, precision)
      this.#warnings = warnings
    }
    return output as Output
  }

  /**
   * Differentiates a score of the last forward pass. May be called again, for another target.
   *
   * @throws GradCamError ERR_NO_FORWARD, ERR_TARGET, ERR_TARGET_COUNT, ERR_TARGET_OUT_OF_RANGE, ERR_LAYER_NOT_REACHED,
   *   ERR_NO_GRADIENT, ERR_NO_RELU
   */
  async backward<Output extends Value = Tensor>(
    target?: Target<Output>,
    options: WatchedOptions = {},
  ): Promise<Explained> {
    const { signal } = expect.options(options)
    const onProgress = progressOf(options)
    this.assertOpen()
    if (this.#failed === this.#forwards)
      throw new GradCamError('ERR_NO_FORWARD', 'The last forward(input) failed or was aborted: call it again first.')
    const explained = await this.#current.backward(target, this.#output, { signal, onProgress })
    if (this.#explained) disposeExplained(this.#explained)
    if (this.#closed) disposeExplained(explained)
    else this.#explained = explained
    const warnings = joinWarnings(this.#warnings, explained.warnings)
    const { classes: targets, scores } = explained
    return { targets, scores, warnings, ...ofPart(explained) }
  }

  /** Forward and backward in a pass of its own: calls of it may overlap, and what `forward` left here stays. */
  protected async run<Output extends Value>(
    inputs: Value | readonly Value[],
    options: ExplainOptions<Output>,
  ): Promise<Run<Output>> {
    const { target, signal } = expect.options(options)
    const onProgress = progressOf(options)
    this.assertOpen()
    const explain = async (pass: Pass, stop: AbortSignal | undefined, watch?: OnProgress): Promise<Run<Output>> =>
      await this.#runBy(pass, inputs, target, { signal: stop, onProgress: watch })
    // Without a choice the pass begins at once: closing the explainer after this call ends nothing.
    const choice = this.#chooser && (await this.#chooser.choose(this.#pass, inputs, explain, signal))
    const [run, precision] = await this.#use(choice, async (pass) => await explain(pass, signal, onProgress))
    return { ...run, execution: withPrecision(run.execution, precision) }
  }

  async #runBy<Output extends Value>(
    by: Pass,
    inputs: Value | readonly Value[],
    target: Target<Output> | undefined,
    { signal, onProgress }: WatchedOptions,
  ): Promise<Run<Output>> {
    if (typeof target !== 'function') {
      const { output, ...found } = await orAtOnce(this.model, inputs, () =>
        by.explain(inputs, target, { signal, onProgress }),
      )
      return { ...found, model: this.model, output: output as Output }
    }
    using pass = by.fork()
    const { kept, ...found } = await pass.forward(inputs, signal)
    const output = found.output as Output
    try {
      const explained = await pass.backward(target, kept, { signal })
      const warnings = joinWarnings(found.warnings, explained.warnings)
      return { ...found, model: this.model, output, explained, warnings }
    } catch (error) {
      disposeValue(output)
      throw error
    } finally {
      disposeValue(kept)
    }
  }

  /** Runs by the pass of the precision that was chosen, where one was. */
  async #use<Result>(
    choice: PrecisionChoice | undefined,
    use: (pass: Pass) => Promise<Result>,
  ): Promise<readonly [Result, PrecisionChoice | undefined]> {
    return this.#chooser ? await this.#chooser.run(this.#pass, choice, use) : [await use(this.#pass), undefined]
  }

  /** Whether several copies of the inputs may run in one batch: see `Pass.runsInBatches`. */
  protected async runsInBatches(inputs: Value | readonly Value[], signal: AbortSignal | undefined): Promise<boolean> {
    this.assertOpen()
    const several = await orAtOnce(this.model, inputs, () => this.#pass.runsInBatches(inputs, signal))
    // As many rows for one image as for two may be those of the number that its code holds.
    return several || (await learnImagesAtOnce(this.model, inputs))
  }

  /** One forward, and a backward for each of the top `k` classes. */
  protected async runTop(
    inputs: Value | readonly Value[],
    k: number,
    options: CallOptions & TargetOptions,
  ): Promise<Run<Value>[]> {
    expect.options(options)
    this.assertOpen()
    return await orAtOnce(this.model, inputs, () => this.#runTop(inputs, k, options))
  }

  async #runTop(
    inputs: Value | readonly Value[],
    k: number,
    options: CallOptions & TargetOptions,
  ): Promise<Run<Value>[]> {
    const { signal } = options
    if (!takesAtOnce(this.model, inputs))
      return await explainTopInParts(async (target) => await this.run<Value>(inputs, { target, signal }), k, options.of)
    const explain = async (pass: Pass, stop: AbortSignal | undefined): Promise<Run<Value>> =>
      await this.#runBy(pass, inputs, undefined, { signal: stop })
    const choice = this.#chooser && (await this.#chooser.choose(this.#pass, inputs, explain, signal))
    const [found, precision] = await this.#use(
      choice,
      async (pass) => await explainTop(pass, this.model, inputs, { ...options, k }),
    )
    return found.map((run) => ({ ...run, execution: withPrecision(run.execution, precision) }))
  }

  /** The results of the last backward. */
  protected get explained(): NativeExplained {
    this.assertOpen()
    if (!this.#explained)
      throw new GradCamError(
        'ERR_NO_BACKWARD',
        'No gradient was computed yet: call backward(target) after forward(input).',
      )
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
    this.#chooser?.dispose()
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
