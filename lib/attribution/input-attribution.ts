import type { TensorHandle } from '../addon/native-values.js'
import { settled } from '../base/callback.js'
import { expect, invalid } from '../base/check.js'
import { Explainer } from '../explain/explainer.js'
import { ofPart, progressOf, type Explained, type ExplainOptions, type Run } from '../explain/explained.js'
import { conditionsOfTensor } from '../explain/tensor-conditions.js'
import { inParts } from '../base/in-parts.js'
import { ScorePass } from '../explain/score-pass.js'
import { joinWarnings } from '../explain/warnings.js'
import { toPositional, type Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { disposeValue, type Value } from '../tensor/values.js'
import { convergenceDelta, fromBaseline } from './baseline.js'
import { fixedTarget, isOfOneBatch } from '../target/fixed-target.js'
import { InputExplanation } from './input-explanation.js'
import { inputMethods, type InputMethod } from './input-method.js'
import { gaussLegendre } from './quadrature.js'
import { checkSmoothing, noisyCopy, type Smoothing } from './smoothing.js'

export { inputMethods, type InputMethod }

/** What {@link InputAttribution} has to be told: the method, and its settings. */
export interface InputAttributionOptions {
  readonly method: InputMethod
  /** For guided-backprop and deconvnet, see {@link GuidedBackpropOptions}. 'all' by default. */
  readonly scope?: 'all' | 'modules'
  /**
   * For integrated gradients and deeplift: a number for every element (0 by default), or a tensor that can be expanded to the
   * input.
   */
  readonly baseline?: number | Tensor
  /** For integrated gradients: the points of the quadrature, 50 by default, 10,000 at most. */
  readonly steps?: number
  readonly smooth?: Smoothing
  /** Which of the model's inputs the attribution is of, from 0, where there are several. The first by default. */
  readonly input?: number
  /**
   * How many images a pass takes at most, where noisy copies and steps are batched; 16 by default, and never less than the
   * batch itself; fewer where memory runs out. The result does not depend on it: a model for which it would, as a first probe
   * shows, takes one copy per pass. So do models with several inputs, and targets that are functions or have a mask per image.
   */
  readonly batchSize?: number
}

/** The points of a quadrature take time with the square of their number: more would block the event loop. */
const mostSteps = 10_000

/** A pass over a batch, or over copies of it; owns its gradient. */
interface Pass extends Disposable {
  readonly gradient: Tensor
  /** How many activations followed a rule. */
  readonly intercepted: number
}

/** How passes over copies of the batch run, one after the other in one tensor. */
interface Passes {
  readonly run: (inputs: Tensor, copies: number) => Promise<Pass>
  /** How many copies one takes at most. */
  readonly most: number
  readonly signal: AbortSignal | undefined
}

type Found = Pick<Pass, 'intercepted'> & { readonly attribution: Tensor }

/** The methods that count the activations that follow their rules. */
const rulesOf: Partial<Record<InputMethod, true>> = { 'guided-backprop': true, deconvnet: true, deeplift: true }

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
  readonly #options: Required<Pick<InputAttributionOptions, 'baseline' | 'steps' | 'batchSize' | 'input'>>
  readonly #smoothing: Required<Smoothing> | null
  /** The model as it is, for scores without a gradient. */
  readonly #scores: ScorePass

  /** @throws GradCamError ERR_INVALID_ARGUMENT */
  constructor(model: Model, options: InputAttributionOptions) {
    const {
      method,
      scope = 'all',
      baseline = 0,
      steps = 50,
      batchSize = 16,
      smooth,
      input = 0,
    } = expect.options(options)
    expect.oneOf('method', method, inputMethods)
    expect.oneOf('scope', scope, ['all', 'modules'])
    expect.integer('steps', steps, { min: 1, max: mostSteps })
    expect.count('batchSize', batchSize)
    expect.integer('input', input, { min: 0 })
    if (!(baseline instanceof Tensor) && !Number.isFinite(baseline))
      throw invalid('baseline', 'a finite number or a Tensor', baseline)
    const smoothing = smooth === undefined ? null : checkSmoothing(smooth)
    const ruled = method === 'guided-backprop' || method === 'deconvnet'
    using from = baseline instanceof Tensor ? baseline.detach() : Tensor.full([], baseline, { dtype: 'float64' })
    super(model, {
      layers: [],
      input,
      inputGradient: true,
      guided: ruled ? scope : 'none',
      reluRule: method === 'deconvnet' ? 'deconvnet' : 'guided',
      ...(method === 'deeplift' && { baseline: from.handle }),
    })
    this.method = method
    this.#scores = new ScorePass(model, 'hooked', input)
    this.#options = { baseline, steps, batchSize, input }
    this.#smoothing = smoothing
  }

  /** Everything in one call, which may overlap with others. Where the target is the top class, it is that of the input. */
  async explain<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    options: ExplainOptions<Output> = {},
  ): Promise<InputExplanation<Output>> {
    const { target, signal } = expect.options(options)
    const onProgress = progressOf(options)
    const given = toPositional(this.model, inputs)
    const { input: at } = this.#options
    const input = given[at]
    const others = given.length > 1
    const replaced = (changed: Tensor): Value[] => given.map((value, i) => (i === at ? changed : value))
    const { output, targets, scores, pass, of, warnings: firstWarnings } = await this.#first(inputs, { target, signal })
    using _first = pass // disposed here, whether the method uses it or not
    try {
      using x = (input as Tensor).to({ device: this.model.device })
      const inCopies = this.#smoothing !== null || this.method === 'integrated-gradients'
      const single = others || isOfOneBatch(target) || (inCopies && !(await this.runsInBatches(inputs, signal)))
      let warnings = firstWarnings
      let done = 0
      const all = (this.#smoothing?.samples ?? 1) * (this.method === 'integrated-gradients' ? this.#options.steps : 1)
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
        ? await this.#smooth(x, passes, this.#smoothing)
        : await this.#attribute(x, 1, passes, pass)
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
        const conditions = await conditionsOfTensor(attribution, model, { scores, gradient: true }, { signal })
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

  /** The output at the input itself, and the pass there where the method uses it. */
  async #first<Output extends Value>(
    inputs: Value | readonly Value[],
    options: ExplainOptions<Output>,
  ): Promise<Explained & { readonly output: Output; readonly pass: Pass | null }> {
    if (this.#smoothing || this.method === 'integrated-gradients') {
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
   * The attributions of x, which is `copies` copies of the batch.
   *
   * @param given the pass at x itself, where it ran already
   */
  async #attribute(x: Tensor, copies: number, passes: Passes, given: Pass | null): Promise<Found> {
    if (this.method === 'integrated-gradients') return await this.#integrate(x, copies, passes)
    using pass = given ?? (await passes.run(x, copies))
    const { gradient, intercepted } = pass
    if (this.method === 'saliency') return { attribution: gradient.abs(), intercepted }
    if (this.method === 'input-x-gradient') return { attribution: tidy(() => x.detach().mul(gradient)), intercepted }
    if (this.method !== 'deeplift') return { attribution: gradient.detach(), intercepted }
    using path = fromBaseline(this.#options.baseline, x, copies)
    return { attribution: path.way.mul(gradient), intercepted }
  }

  async #integrate(x: Tensor, copies: number, passes: Passes): Promise<Found> {
    const { steps } = this.#options
    const { points, weights } = gaussLegendre(steps)
    using path = fromBaseline(this.#options.baseline, x, copies)
    const { start, way } = path
    const most = Math.max(1, Math.floor(passes.most / copies))
    let sum: Tensor | undefined
    try {
      await inParts(steps, most, async (from, to) => {
        const part = points.slice(from, to)
        using inputs = tidy(() => Tensor.cat(part.map((point) => start.add(way.mul(point)))))
        using pass = await passes.run(inputs, copies * part.length)
        const before = sum
        sum = tidy(() => {
          const parts = pass.gradient.split(x.shape[0] ?? 1).map((g, i) => g.mul(weights[from + i] as number))
          return (before ? [before, ...parts] : parts).reduce((total, term) => total.add(term)).clone()
        })
        before?.dispose()
      })
      const total = sum as Tensor
      return { attribution: tidy(() => total.mul(way)), intercepted: 0 }
    } finally {
      sum?.dispose()
    }
  }

  /** The convergence delta of methods whose attributions should add up; null for the others. */
  async #delta(
    x: Tensor,
    attribution: Tensor,
    scores: readonly number[],
    atBaseline: (start: Tensor) => Promise<readonly number[]>,
  ): Promise<readonly number[] | null> {
    if (this.#smoothing || (this.method !== 'integrated-gradients' && this.method !== 'deeplift')) return null
    using path = fromBaseline(this.#options.baseline, x, 1)
    return convergenceDelta(attribution, scores, await atBaseline(path.start))
  }

  /** Frees all that it holds. The model stays as it was. Safe to call again. */
  override dispose(): void {
    super.dispose()
    this.#scores.dispose()
  }

  async #smooth(x: Tensor, passes: Passes, { kind, samples, sigma, seed }: Required<Smoothing>): Promise<Found> {
    const images = x.shape[0] ?? 1
    const dtype = x.dtype === 'float64' ? 'float64' : 'float32'
    let sums: [Tensor, Tensor] | undefined
    let intercepted = 0
    try {
      await inParts(samples, passes.most, async (from, to) => {
        const noisy: Tensor[] = []
        try {
          for (let sample = from; sample < to; sample++)
            noisy.push(await noisyCopy(x, dtype, sigma, seed + sample, passes.signal))
          using copies = Tensor.cat(noisy)
          const found = await this.#attribute(copies, to - from, passes, null)
          using attribution = found.attribution
          intercepted = found.intercepted
          const before = sums
          const add = (values: Tensor, previous: Tensor | undefined) =>
            tidy(() => {
              const parts = values.to({ dtype }).split(images)
              return (previous ? [previous, ...parts] : parts).reduce((total, term) => total.add(term)).clone()
            })
          using squares = attribution.square()
          sums = [add(attribution, before?.[0]), add(squares, before?.[1])]
          disposeValue(before ?? null)
        } finally {
          for (const copy of noisy) copy.dispose()
        }
      })
      const [sum, squares] = sums as [Tensor, Tensor]
      const attribution = tidy(() => {
        const mean = sum.div(samples)
        if (kind === 'mean') return mean
        const squared = squares.div(samples)
        return kind === 'squared' ? squared : squared.sub(mean.square())
      })
      return { attribution, intercepted }
    } finally {
      disposeValue(sums ?? null)
    }
  }
}
