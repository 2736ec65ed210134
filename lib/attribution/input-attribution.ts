import type { TensorHandle } from '../addon/native-values.js'
import { settled } from '../base/callback.js'
import { expect, invalid } from '../base/check.js'
import { Explainer } from '../explain/explainer.js'
import { ofPart, progressOf, type Explained, type ExplainOptions, type Run } from '../explain/explained.js'
import type { GradientUse } from '../explain/condition.js'
import { conditionsOfTensor, conditionsOrDispose } from '../explain/tensor-conditions.js'
import { ScorePass } from '../explain/score-pass.js'
import { joinWarnings } from '../explain/warnings.js'
import { toPositional, type Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { disposeValue, type Value } from '../tensor/values.js'
import { convergenceDelta, fromBaseline, references } from './baseline.js'
import { fixedTarget, isOfOneBatch } from '../target/fixed-target.js'
import { InputExplanation } from './input-explanation.js'
import { inputMethods, type InputMethod } from './input-method.js'
import { blurIg } from './blur-ig.js'
import { nativeComposite, readComposite } from './composites.js'
import { meanOverBaselines } from './deeplift-shap.js'
import { gradientShap } from './gradient-shap.js'
import { guidedIg } from './guided-ig.js'
import { integratedGradients } from './integrated-gradients.js'
import type { Attributed, Copied, ManyPassMethod, ManyPassSettings, Pass, Passes } from './many-passes.js'
import type { InputAttributionOptions } from './input-options.js'
import { smoothed } from './smoothed.js'
import { checkSmoothing, type Smoothing } from './smoothing.js'
import { checkRegions, xrai } from './xrai.js'

export { inputMethods, type InputMethod }
export type { InputAttributionOptions } from './input-options.js'

/** The points of a quadrature take time with the square of their number: more would block the event loop. */
const mostSteps = 10_000

/** The methods that take gradients at other inputs than the image. */
const manyPassMethods: Partial<Record<InputMethod, ManyPassMethod>> = {
  'integrated-gradients': integratedGradients,
  'gradient-shap': gradientShap,
  'blur-ig': blurIg,
  'guided-ig': guidedIg,
  xrai,
}

/** The methods that count the activations that follow their rules. */
const rulesOf: Partial<Record<InputMethod, true>> = {
  'guided-backprop': true,
  deconvnet: true,
  deeplift: true,
  'deeplift-shap': true,
  lrp: true,
}

function useOf(method: InputMethod): GradientUse {
  if (method === 'gradient' || method === 'saliency') return 'plain'
  return method === 'guided-backprop' || method === 'deconvnet' ? 'ruled' : 'weighted'
}

function toPass({ intercepted, explained }: Pick<Run<Value>, 'intercepted' | 'explained'>): Pass {
  const gradient = Tensor.own(explained.inputGradient as TensorHandle) // the only tensor of such a pass
  return { gradient, intercepted, [Symbol.dispose]: () => gradient.dispose() }
}

/**
 * Attributions of the score to the elements of the (first) input, from gradients there: see {@link InputMethod}.
 *
 * ```ts
 * using saliency = new InputAttribution(model, { method: 'saliency', smooth: { samples: 20, sigma: 0.15 } })
 * using found = await saliency.explain(input, { target: 281 })
 * found.attribution // [N, 3, H, W]
 * ```
 */
export class InputAttribution extends Explainer {
  readonly method: InputMethod
  readonly #options: ManyPassSettings & Required<Pick<InputAttributionOptions, 'batchSize' | 'input'>>
  /** How the method takes many passes; undefined where it takes one. */
  readonly #many: ManyPassMethod | undefined
  readonly #smoothing: Required<Smoothing> | null
  readonly #scoreLayer: string | undefined
  /** The model as it is, for scores without a gradient. */
  readonly #scores: ScorePass

  /** @throws GradCamError ERR_INVALID_ARGUMENT */
  constructor(model: Model, options: InputAttributionOptions) {
    const {
      method,
      scope = 'all',
      baseline = 0,
      steps = manyPassMethods[options?.method]?.steps ?? 1,
      seed = 0,
      maxSigma = 50,
      fraction = 0.25,
      maxDistance = 0.02,
      regions,
      composite = 'epsilon-plus',
      low,
      high,
      batchSize = 16,
      smooth,
      scoreLayer,
      input = 0,
    } = expect.options(options)
    expect.oneOf('method', method, inputMethods)
    expect.oneOf('scope', scope, ['all', 'modules'])
    expect.integer('steps', steps, { min: 1, max: mostSteps })
    expect.seed('seed', seed)
    expect.number('maxSigma', maxSigma, { min: 0 })
    expect.number('fraction', fraction, { min: 0, max: 1 })
    expect.number('maxDistance', maxDistance, { min: 0, max: 1 })
    checkRegions(regions)
    expect.count('batchSize', batchSize)
    expect.integer('input', input, { min: 0 })
    if (!(baseline instanceof Tensor) && !Number.isFinite(baseline))
      throw invalid('baseline', 'a finite number or a Tensor', baseline)
    if (scoreLayer !== undefined) expect.string('scoreLayer', scoreLayer)
    const smoothing = smooth === undefined ? null : checkSmoothing(smooth)
    const ruled = method === 'guided-backprop' || method === 'deconvnet'
    using from = baseline instanceof Tensor ? baseline.detach() : Tensor.full([], baseline, { dtype: 'float64' })
    const rules = readComposite(composite)
    using relevance = method === 'lrp' ? nativeComposite(rules, low, high) : null
    super(model, {
      layers: [],
      input,
      inputGradient: true,
      guided: ruled ? scope : 'none',
      reluRule: method === 'deconvnet' ? 'deconvnet' : 'guided',
      ...(scoreLayer !== undefined && { scoreLayer }),
      ...(method === 'deeplift' && { baseline: from.handle }),
      ...(relevance && { relevance: relevance.native }),
    })
    this.method = method
    this.#scores = new ScorePass(model, 'hooked', input, scoreLayer)
    this.#scoreLayer = scoreLayer
    this.#many = manyPassMethods[method]
    this.#options = { baseline, steps, seed, maxSigma, fraction, maxDistance, regions, batchSize, input }
    this.#smoothing = smoothing
  }

  /** Everything in one call, which may overlap with others. Where the target is the top class, it is that of the input. */
  async explain<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    options: ExplainOptions<Output> = {},
  ): Promise<InputExplanation<Output>> {
    const { target, signal } = expect.options(options)
    const onProgress = progressOf(options)
    if (this.method === 'deeplift-shap') return await this.#overBaselines(inputs, options)
    const given = toPositional(this.model, inputs)
    const { input: at } = this.#options
    const input = given[at]
    const others = given.length > 1
    const replaced = (changed: Tensor): Value[] => given.map((value, i) => (i === at ? changed : value))
    const { output, targets, scores, pass, of, warnings: firstWarnings } = await this.#first(inputs, { target, signal })
    using _first = pass // disposed here, whether the method uses it or not
    try {
      using x = (input as Tensor).to({ device: this.model.device })
      const inCopies = this.#smoothing !== null || this.#many !== undefined
      const single = others || isOfOneBatch(target) || (inCopies && !(await this.runsInBatches(inputs, signal)))
      let warnings = firstWarnings
      let done = 0
      const all = (this.#smoothing?.samples ?? 1) * (this.#many ? this.#options.steps * (this.#many.paths ?? 1) : 1)
      const passes: Passes = {
        run: async (copied, copies) => {
          const fixed = fixedTarget(target, targets, copies)
          const { output: unused, ...run } = await this.run(replaced(copied), { target: fixed, signal })
          disposeValue(unused)
          warnings = joinWarnings(warnings, run.warnings)
          done += copies
          const found = toPass(run)
          try {
            await settled(onProgress?.(done, all))
          } catch (error) {
            found[Symbol.dispose]()
            throw error
          }
          return found
        },
        most: single ? 1 : Math.max(1, Math.floor(this.#options.batchSize / (x.shape[0] ?? 1))),
        signal,
      }
      const { method } = this
      const { attribution, intercepted } = this.#smoothing
        ? await smoothed(x, passes, this.#smoothing, (copied) => this.#attribute(copied, passes, null))
        : await this.#attribute({ x, copies: 1, first: 0 }, passes, pass)
      try {
        const atBaseline = async (start: Tensor) => {
          const fixed = fixedTarget(target, targets, 1)
          const atStart = await this.#scores.score(replaced(start), { target: fixed, signal })
          warnings = joinWarnings(warnings, atStart.warnings)
          return atStart.scores
        }
        const delta = await this.#delta(x, attribution, scores, atBaseline)
        const ruled = rulesOf[method] ? intercepted : null
        const { model } = this
        const conditions = await conditionsOfTensor(
          attribution,
          model,
          { scores, gradient: true, from: useOf(method) },
          { signal },
        )
        const found = { model, method, output, attribution, targets, scores, intercepted: ruled, delta, conditions }
        return new InputExplanation({ ...found, ...(warnings && { warnings }), ...(of && { of }) })
      } catch (error) {
        attribution.dispose()
        throw error
      }
    } catch (error) {
      disposeValue(output)
      throw error
    }
  }

  /** DeepLIFT-SHAP: DeepLIFT from each of the baselines. */
  async #overBaselines<Output extends Value>(
    inputs: Value | readonly Value[],
    options: ExplainOptions<Output>,
  ): Promise<InputExplanation<Output>> {
    const { baseline, batchSize, input } = this.#options
    const x = toPositional(this.model, inputs)[input]
    this.assertOpen()
    if (!(x instanceof Tensor)) throw invalid('inputs', 'a floating-point Tensor, or an array that begins with one', x)
    using rows = references(baseline, x)
    const own = {
      ...(this.#smoothing && { smooth: this.#smoothing }),
      ...(this.#scoreLayer !== undefined && { scoreLayer: this.#scoreLayer }),
    }
    const from = (row: Tensor) =>
      new InputAttribution(this.model, { method: 'deeplift', baseline: row, batchSize, input, ...own })
    const found = await meanOverBaselines(rows, from, inputs, options)
    const conditions = await conditionsOrDispose(
      found.output,
      found.attribution,
      this.model,
      { scores: found.scores, gradient: true, from: useOf(this.method) },
      options,
    )
    return new InputExplanation({ ...found, model: this.model, method: this.method, conditions })
  }

  /** The output at the input itself, and the pass there where the method uses it. */
  async #first<Output extends Value>(
    inputs: Value | readonly Value[],
    options: ExplainOptions<Output>,
  ): Promise<Explained & { readonly output: Output; readonly pass: Pass | null }> {
    if (this.#smoothing || this.#many) {
      const input = toPositional(this.model, inputs)[this.#options.input]
      this.assertOpen()
      if (!(input instanceof Tensor) || !/float/.test(input.dtype))
        throw invalid('inputs', 'a floating-point Tensor, or an array that begins with one', inputs)
      return { ...(await this.#scores.look(inputs, options)), pass: null }
    }
    const run = await this.run(inputs, options)
    const { classes: targets, scores } = run.explained
    return { output: run.output, targets, scores, pass: toPass(run), warnings: run.warnings, ...ofPart(run.explained) }
  }

  /**
   * The attributions of copies of the batch.
   *
   * @param given the pass at x itself, where it ran already
   */
  async #attribute(copied: Copied, passes: Passes, given: Pass | null): Promise<Attributed> {
    if (this.#many) return { attribution: await this.#many.attribute(copied, passes, this.#options), intercepted: 0 }
    const { x, copies } = copied
    using pass = given ?? (await passes.run(x, copies))
    const { gradient, intercepted } = pass
    if (this.method === 'saliency') return { attribution: gradient.abs(), intercepted }
    if (this.method === 'input-x-gradient') return { attribution: tidy(() => x.detach().mul(gradient)), intercepted }
    if (this.method !== 'deeplift') return { attribution: gradient.detach(), intercepted }
    using path = fromBaseline(this.#options.baseline, x, copies)
    return { attribution: path.way.mul(gradient), intercepted }
  }

  /** The convergence delta of methods whose attributions should add up; null for the others. */
  async #delta(
    x: Tensor,
    attribution: Tensor,
    scores: readonly number[],
    atBaseline: (start: Tensor) => Promise<readonly number[]>,
  ): Promise<readonly number[] | null> {
    if (this.#smoothing) return null
    if (this.method === 'lrp')
      return convergenceDelta(
        attribution,
        scores,
        scores.map(() => 0),
      )
    if (!this.#many?.complete && this.method !== 'deeplift') return null
    using path = fromBaseline(this.#options.baseline, x, 1)
    return convergenceDelta(attribution, scores, await atBaseline(path.start))
  }

  /** Frees all that it holds. The model stays as it was. Safe to call again. */
  override dispose(): void {
    super.dispose()
    this.#scores.dispose()
  }
}
