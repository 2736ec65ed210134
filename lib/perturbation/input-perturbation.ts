import type { CallOptions } from '../addon/abort.js'
import { GradCamError } from '../base/errors.js'
import { settled } from '../base/callback.js'
import { hasChannelsLast } from '../model/expected-input.js'
import { expect, invalid, toList } from '../base/check.js'
import { disposeExplained, ofPart, type ExplainOptions, type Run } from '../explain/explained.js'
import { Explainer } from '../explain/explainer.js'
import { toExecutionPlan, type Execution } from '../explain/execution.js'
import { scorePlan } from '../explain/score-pass.js'
import { isRounding } from '../explain/condition.js'
import { conditionsOfTensor } from '../explain/tensor-conditions.js'
import { inParts } from '../base/in-parts.js'
import { joinWarnings } from '../explain/warnings.js'
import { toPositional, type Model } from '../model/model.js'
import type { ClassChoice, Target } from '../target/target.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { outputPart } from '../target/top-classes.js'
import { disposeValue, type Value } from '../tensor/values.js'
import { fixedTarget, isOfOneBatch } from '../target/fixed-target.js'
import { kernelShap, type KernelShapOptions } from './kernel-shap.js'
import { lime, type LimeOptions } from './lime.js'
import { overFeatures } from './over-features.js'
import { shapleySampling, type ShapleySamplingOptions } from './shapley-sampling.js'
import { featureAblation, type FeatureAblationOptions } from './feature-ablation.js'
import { featurePermutation, type FeaturePermutationOptions } from './feature-permutation.js'
import { occlusion, type OcclusionOptions } from './occlusion.js'
import type { Perturbation } from './perturbation.js'
import { rise, type RiseOptions } from './rise.js'
import { PerturbationExplanation } from './perturbation-explanation.js'
import type { PerturbationMethod } from './perturbation-method.js'

export type { PerturbationMethod }

/** What {@link InputPerturbation} has to be told: the method, and its settings. */
export type InputPerturbationOptions = {
  /**
   * How many images a run takes at most; 16 by default, and never less than the batch itself; fewer where memory runs out. It
   * bounds the memory, and the result does not depend on it: a model for which it would, as a first probe shows, takes one changed
   * batch per run. So do models with several inputs, and targets that are functions or have a mask per image.
   */
  readonly batchSize?: number
  /** 'split' here is all of the model frozen and optimised, which 'auto' (the default) takes where the model allows it. */
  readonly execution?: Execution
  /** Which of the model's inputs is changed, from 0, where there are several. The first by default. */
  readonly input?: number
} & (
  | ({ readonly method: 'occlusion' } & OcclusionOptions)
  | ({ readonly method: 'feature-ablation' } & FeatureAblationOptions)
  | ({ readonly method: 'feature-permutation' } & FeaturePermutationOptions)
  | ({ readonly method: 'rise' } & RiseOptions)
  | ({ readonly method: 'lime' } & LimeOptions)
  | ({ readonly method: 'kernel-shap' } & KernelShapOptions)
  | ({ readonly method: 'shapley-sampling' } & ShapleySamplingOptions)
)

export interface PerturbationExplainOptions<Output extends Value = Tensor> extends ExplainOptions<Output> {
  /** Called after each run with the number of changed inputs scored so far, and of all. An error that it throws ends the call. */
  onProgress?: ((scored: number, total: number) => void) | undefined
}

type Options<Method> = Extract<InputPerturbationOptions, { method: Method }>

type Made = Perturbation & Partial<Disposable>

/** How each method changes x. */
const makers: {
  readonly [Method in PerturbationMethod]: (
    x: Tensor,
    options: Options<Method>,
    call: CallOptions,
  ) => Made | Promise<Made>
} = {
  occlusion,
  'feature-ablation': featureAblation,
  'feature-permutation': featurePermutation,
  rise,
  lime: (x, options, call) => overFeatures(x, options, lime(options), call),
  'kernel-shap': (x, options, call) => overFeatures(x, options, kernelShap(options), call),
  'shapley-sampling': (x, options, call) => overFeatures(x, options, shapleySampling(options), call),
}

/** Every {@link PerturbationMethod}. */
export const perturbationMethods = Object.keys(makers) as readonly PerturbationMethod[]

/**
 * Attributions of the score to the elements of the (first) input, from the scores of changed inputs: see
 * {@link PerturbationMethod}. Everything runs without a graph.
 *
 * ```ts
 * using occlusion = new InputPerturbation(model, { method: 'occlusion', window: [32, 32], stride: [16, 16] })
 * using found = await occlusion.explain(input, { target: 281 })
 * found.attribution // [N, 3, H, W]
 * ```
 */
export class InputPerturbation extends Explainer {
  readonly method: PerturbationMethod
  readonly #options: InputPerturbationOptions
  readonly #batchSize: number
  readonly #input: number

  /** @throws GradCamError ERR_INVALID_ARGUMENT */
  constructor(model: Model, options: InputPerturbationOptions) {
    const given = { ...expect.options(options) }
    const { method, batchSize = 16, execution, input = 0 } = given
    expect.oneOf('method', method, perturbationMethods)
    expect.count('batchSize', batchSize)
    expect.integer('input', input, { min: 0 })
    const { baseline = 0 } = given as OcclusionOptions
    if (!(baseline instanceof Tensor) && !Number.isFinite(baseline))
      throw invalid('baseline', 'a finite number or a Tensor', baseline)
    super(model, { ...scorePlan(input), ...toExecutionPlan(execution === undefined ? {} : { execution }) })
    this.method = method
    this.#options = given
    this.#batchSize = batchSize
    this.#input = input
  }

  /**
   * Everything in one call, which may overlap with others. Where the target is the top class, it is that of the input. Where
   * it is a function, it scores the batch as one, and all images are changed at the same position at once.
   *
   * @throws GradCamError ERR_INVALID_ARGUMENT, ERR_SHAPE and ERR_DTYPE for an input that the method's options do not fit;
   *   ERR_TARGET, ERR_TARGET_COUNT, ERR_TARGET_OUT_OF_RANGE
   */
  async explain<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    options: PerturbationExplainOptions<Output> = {},
  ): Promise<PerturbationExplanation<Output>> {
    const { target, signal, onProgress } = expect.options(options)
    if (onProgress !== undefined) expect.function('onProgress', onProgress)
    this.assertOpen()
    const given = toPositional(this.model, inputs)
    const input = given[this.#input]
    const others = given.length > 1
    if (!(input instanceof Tensor) || input.shape.length < 2 || input.size === 0)
      throw invalid('inputs', 'a Tensor [N, ...] with at least one element, or an array that begins with one', inputs)
    if (hasChannelsLast(this.model, this.#input, input.shape)) requireOwnWindow(this.#options, input.shape)
    using x = tidy(() => input.detach().to({ device: this.model.device }))
    const make = makers[this.method] as (
      x: Tensor,
      options: InputPerturbationOptions,
      call: CallOptions,
    ) => Made | Promise<Made>
    const perturbation = await make(x, this.#options, { signal })
    try {
      const { run, target: used } = await this.#scoreInput(inputs, target, signal)
      const { output, execution, explained } = run
      let { warnings } = run
      disposeExplained(explained)
      try {
        const { classes: targets, scores } = explained
        const single = others || isOfOneBatch(used) || !(await this.runsInBatches(inputs, signal))
        const most = single ? 1 : Math.max(1, Math.floor(this.#batchSize / (x.shape[0] as number)))
        using sum = perturbation.accumulate()
        using whole = x.unsqueeze(0)
        const { count } = perturbation
        const images = Array.from({ length: x.shape[0] as number }, (_, n) => Math.min(n, scores.length - 1))
        const own = images.map((n) => scores[n] as number)
        const furthest = own.map(() => 0)
        await inParts(count, most, async (from, to) => {
          using masks = await perturbation.masks(from, to, { signal })
          const { scores: scored, warnings: more } = await this.#score(perturbation, whole, masks, given, {
            target: fixedTarget(used, targets, to - from),
            signal,
            from,
          })
          warnings = joinWarnings(warnings, more)
          const versions = Array.from({ length: to - from }, (_, i) => i * scores.length)
          const changed = images.map((n) => versions.map((first) => scored[first + n] as number))
          for (const [n, each] of changed.entries())
            furthest[n] = Math.max(furthest[n] as number, ...each.map((score) => Math.abs(score - (own[n] as number))))
          await sum.add({ from, masks, scores: own, changed }, { signal })
          await settled(onProgress?.(to, count))
        })
        const attribution = await sum.result(x, { signal })
        const { method, model } = this
        const sameScores = own.map((score, n) => isRounding(furthest[n] as number, Math.abs(score), model.dtype))
        const evidence = { scores, gradient: false, sameScores }
        const conditions = await conditionsOfTensor(attribution, model, evidence, { signal })
        const runs = { runs: count, execution }
        const found = {
          model,
          method,
          output,
          attribution,
          targets,
          scores,
          ...runs,
          conditions,
          warnings,
          ...ofPart(explained),
        }
        return new PerturbationExplanation(found)
      } catch (error) {
        disposeValue(output)
        throw error
      }
    } finally {
      perturbation[Symbol.dispose]?.()
    }
  }

  /** The scores of the changed inputs, version by version. */
  async #score<Output extends Value>(
    perturbation: Perturbation,
    x: Tensor,
    masks: Tensor,
    given: readonly Value[],
    { from, ...options }: ExplainOptions<Output> & { readonly from: number },
  ): Promise<{ readonly scores: readonly number[]; readonly warnings: readonly string[] }> {
    using versions = await perturbation.apply(x, masks, { ...options, from })
    using batch = versions.flatten(0, 1)
    const { output, explained, warnings } = await this.run<Output>(
      given.map((value, i) => (i === this.#input ? batch : value)),
      options,
    )
    disposeValue(output)
    disposeExplained(explained)
    return { scores: explained.scores, warnings }
  }

  /** Scores the input as it is, and decides the target that all versions are scored by. */
  async #scoreInput<Output extends Value>(
    inputs: Value | readonly Value[],
    target: Target<Output> | undefined,
    signal: AbortSignal | undefined,
  ): Promise<{ run: Run<Output>; target: Target<Output> | undefined }> {
    const isClass = target === undefined || target === 'argmax' || typeof target === 'number' || toList(target)
    if (this.method !== 'rise' || !isClass) return { run: await this.run(inputs, { target, signal }), target }
    const probability: Target<Output> = { kind: 'probability', class: (target ?? 'argmax') as ClassChoice }
    const run = await this.run<Output>(inputs, { target: probability, signal })
    const output = outputPart(run.output, run.explained.of)
    const single = output instanceof Tensor && (output.shape.length < 2 || output.shape[1] === 1)
    if (!single) return { run, target: probability }
    disposeValue(run.output)
    disposeExplained(run.explained)
    return { run: await this.run(inputs, { target, signal }), target }
  }
}

/** What is covered by default is meant for channels that come first, and so are superpixels and the masks of RISE. */
function requireOwnWindow(options: InputPerturbationOptions, shape: readonly number[]): void {
  const byElement = options.method === 'feature-ablation' || options.method === 'feature-permutation'
  if (byElement || (options.method === 'occlusion' && toList(options.window)?.length === 3)) return
  if ('features' in options && options.features !== undefined) return
  const text = `The channels of the input [${shape.join(', ')}] come last, and ${options.method} takes inputs [N, C, H, W].`
  const remedies: Partial<Record<PerturbationMethod, string>> = {
    occlusion: `Give a \`window\` and a \`stride\` for all its dimensions, e.g. [16, 16, ${shape.at(-1)}].`,
    rise: 'Export the model without the step that moves them.',
  }
  const remedy = remedies[options.method] ?? 'Give `features`: a tensor of integers that can be expanded to the input.'
  throw new GradCamError('ERR_SHAPE', text, { remedy, details: { shape } })
}
