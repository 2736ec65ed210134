import { inspect } from 'node:util'
import type { TensorHandle } from '../addon/binding.js'
import { checkOptions, GradCamError } from '../errors.js'
import { disposeExplained, Explainer, type ExplainOptions } from '../explainer.js'
import { inParts } from '../in-parts.js'
import { ScorePass } from '../score-pass.js'
import { toPositional, type ScriptModule } from '../script-module.js'
import { Tensor, tidy } from '../tensor.js'
import { disposeValue, type Value } from '../values.js'
import { convergenceDelta, fromBaseline } from './baseline.js'
import { fixedTarget, isOfOneBatch } from './fixed-target.js'
import { InputExplanation } from './input-explanation.js'
import { gaussLegendre } from './quadrature.js'
import { checkSmoothing, noisyCopy, type Smoothing } from './smoothing.js'

/**
 * What is made of the gradient g of the score at the input x, per pixel and channel:
 *
 * - `gradient`: g
 * - `saliency`: |g|. Simonyan et al. 2014, arXiv:1312.6034
 * - `input-x-gradient`: x g. Shrikumar et al. 2016, arXiv:1605.01713
 * - `guided-backprop`: g with the rule of {@link GuidedBackprop} at each ReLU. Springenberg et al. 2015, arXiv:1412.6806
 * - `deconvnet`: g with max(g, 0) in place of each ReLU's derivative. Zeiler and Fergus 2014, arXiv:1311.2901
 * - `integrated-gradients`: (x - x0) times the mean of g on the straight way from the baseline x0 to x. Sundararajan et al.
 *   2017, arXiv:1703.01365. The mean is a Gauss-Legendre quadrature, as Captum's.
 * - `deeplift`: (x - x0) times g with (y - y0) / (x - x0) in place of the derivative of each nonlinearity y: the rescale rule
 *   of Shrikumar et al. 2017, arXiv:1704.02685, with Captum's rule for max-pooling. Exact, or refused with ERR_ACTIVATION:
 *   it reaches every activation, module or functional, and never takes the plain gradient of what it has no rule for
 *   (softmax, layer norms, products of two activations, values made of the input without a gradient).
 */
export type InputMethod =
  'gradient' | 'saliency' | 'input-x-gradient' | 'guided-backprop' | 'deconvnet' | 'integrated-gradients' | 'deeplift'

export interface InputAttributionOptions {
  readonly method: InputMethod
  /** For guided-backprop and deconvnet, see {@link GuidedBackpropOptions}. 'all' by default. */
  readonly scope?: 'all' | 'modules'
  /**
   * For integrated gradients and deeplift: a number for every element (0 by default), or a tensor that can be expanded to the
   * input.
   */
  readonly baseline?: number | Tensor
  /** For integrated gradients: the points of the quadrature, 50 by default. */
  readonly steps?: number
  readonly smooth?: Smoothing
  /**
   * How many images a pass takes at most, where noisy copies and steps are batched; 16 by default, and never less than the
   * batch itself. The result does not depend on it. Models with several inputs take one copy per pass, and so do targets
   * that are functions or have a mask per image.
   */
  readonly batchSize?: number
}

/** Every {@link InputMethod}. */
export const inputMethods: readonly InputMethod[] = [
  'gradient',
  'saliency',
  'input-x-gradient',
  'guided-backprop',
  'deconvnet',
  'integrated-gradients',
  'deeplift',
]

interface Pass {
  readonly gradient: Tensor
  readonly scores: readonly number[]
}

/** Runs one pass over copies of the batch, laid one behind the other. */
type RunPass = (inputs: Tensor, copies: number) => Promise<Pass>

/** The scores of a batch in the place of the input. */
type RunScores = (inputs: Tensor) => Promise<readonly number[]>

/** The methods that count what follows their rules. */
const rulesOf: Partial<Record<InputMethod, true>> = { 'guided-backprop': true, deconvnet: true, deeplift: true }

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
  readonly #options: Required<Pick<InputAttributionOptions, 'baseline' | 'steps' | 'batchSize'>>
  readonly #smoothing: Required<Smoothing> | null
  readonly #scores: ScorePass | null

  /** @throws GradCamError ERR_INVALID_ARGUMENT */
  constructor(model: ScriptModule, options: InputAttributionOptions) {
    const { method, scope = 'all', baseline = 0, steps = 50, batchSize = 16, smooth } = checkOptions(options)
    const refuse = (text: string) => new GradCamError('ERR_INVALID_ARGUMENT', text)
    if (!inputMethods.includes(method))
      throw refuse(`There is no method ${inspect(method)}. There are: ${inputMethods.join(', ')}.`)
    if (scope !== 'all' && scope !== 'modules')
      throw refuse(`There is no scope ${inspect(scope)}. Use 'all' or 'modules'.`)
    for (const [name, count] of Object.entries({ steps, batchSize }))
      if (!Number.isSafeInteger(count) || count < 1)
        throw refuse(`${name} is ${inspect(count)}: give a number from 1 on.`)
    if (!(baseline instanceof Tensor) && !Number.isFinite(baseline))
      throw refuse(`${inspect(baseline)} is no baseline: give a number or a Tensor.`)
    const ruled = method === 'guided-backprop' || method === 'deconvnet'
    using from = baseline instanceof Tensor ? baseline.detach() : Tensor.full([], baseline, { dtype: 'float64' })
    super(model, {
      layers: [],
      inputGradient: true,
      guided: ruled ? scope : 'none',
      reluRule: method === 'deconvnet' ? 'deconvnet' : 'guided',
      ...(method === 'deeplift' && { baseline: from.handle }),
    })
    this.method = method
    this.#scores = method === 'deeplift' ? new ScorePass(model) : null
    this.#options = { baseline, steps, batchSize }
    this.#smoothing = smooth === undefined ? null : checkSmoothing(checkOptions(smooth))
  }

  /** Everything in one call, which may overlap with others. Where the target is the top class, it is that of the input. */
  async explain<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    { target, signal }: ExplainOptions<Output> = {},
  ): Promise<InputExplanation<Output>> {
    const [input, ...others] = toPositional(inputs)
    const { output, relus, explained } = await this.run(inputs, { target, signal })
    using gradient = Tensor.own(explained.inputGradient as TensorHandle)
    try {
      using x = (input as Tensor).to({ device: gradient.device })
      const runPass: RunPass = async (copied, copies) => {
        const fixed = fixedTarget(target, explained.classes, copies)
        const pass = await this.run([copied, ...others], { target: fixed, signal })
        disposeValue(pass.output)
        return { gradient: Tensor.own(pass.explained.inputGradient as TensorHandle), scores: pass.explained.scores }
      }
      const runScores: RunScores = async (start) => {
        const fixed = fixedTarget(target, explained.classes, 1)
        return (await (this.#scores as ScorePass).score([start, ...others], { target: fixed, signal })).scores
      }
      const images = x.shape[0] ?? 1
      const single = others.length > 0 || isOfOneBatch(target)
      const copies = single ? 1 : Math.max(1, Math.floor(this.#options.batchSize / images))
      const first = { gradient, scores: explained.scores }
      const { attribution, delta } = this.#smoothing
        ? { attribution: await this.#smooth(x, runPass, copies, this.#smoothing, signal), delta: null }
        : this.method === 'deeplift'
          ? await this.#rescale(x, first, runScores)
          : await this.#attribute(x, first, 1, runPass, copies)
      const { classes: targets, scores } = explained
      const intercepted = rulesOf[this.method] ? relus : null
      return new InputExplanation({ method: this.method, output, attribution, targets, scores, intercepted, delta })
    } catch (error) {
      disposeValue(output)
      throw error
    } finally {
      disposeExplained(explained)
    }
  }

  /**
   * The attributions of x, which is `copies` copies of the batch.
   *
   * @param first the pass at x itself
   */
  async #attribute(
    x: Tensor,
    first: Pass,
    copies: number,
    runPass: RunPass,
    most: number,
  ): Promise<{ attribution: Tensor; delta: readonly number[] | null }> {
    const { gradient } = first
    if (this.method === 'integrated-gradients')
      return await this.#integrate(x, first.scores, copies, runPass, Math.max(1, Math.floor(most / copies)))
    if (this.method === 'saliency') return { attribution: gradient.abs(), delta: null }
    if (this.method === 'deeplift') {
      using path = fromBaseline(this.#options.baseline, x, copies)
      return { attribution: path.way.mul(gradient), delta: null }
    }
    if (this.method === 'input-x-gradient') return { attribution: tidy(() => x.detach().mul(gradient)), delta: null }
    return { attribution: gradient.detach(), delta: null }
  }

  async #rescale(
    x: Tensor,
    { gradient, scores }: Pass,
    runScores: RunScores,
  ): Promise<{ attribution: Tensor; delta: readonly number[] }> {
    using path = fromBaseline(this.#options.baseline, x, 1)
    const { start, way } = path
    const atStart = await runScores(start)
    const attribution = way.mul(gradient)
    return { attribution, delta: convergenceDelta(attribution, scores, atStart) }
  }

  async #integrate(
    x: Tensor,
    scores: readonly number[],
    copies: number,
    runPass: RunPass,
    most: number,
  ): Promise<{ attribution: Tensor; delta: readonly number[] }> {
    const { steps } = this.#options
    const { points, weights } = gaussLegendre(steps)
    using path = fromBaseline(this.#options.baseline, x, copies)
    const { start, way } = path
    let sum: Tensor | undefined
    try {
      await inParts(steps, most, async (from, to) => {
        const part = points.slice(from, to)
        using places = tidy(() => Tensor.cat(part.map((point) => start.add(way.mul(point)))))
        using gradient = (await runPass(places, copies * part.length)).gradient
        const before = sum
        sum = tidy(() => {
          const parts = gradient.split(x.shape[0] ?? 1).map((g, i) => g.mul(weights[from + i] as number))
          return (before ? [before, ...parts] : parts).reduce((total, term) => total.add(term)).clone()
        })
        before?.dispose()
      })
      const atStart = await runPass(start, copies)
      atStart.gradient.dispose()
      const total = sum as Tensor
      const attribution = tidy(() => total.mul(way))
      return { attribution, delta: convergenceDelta(attribution, scores, atStart.scores) }
    } finally {
      sum?.dispose()
    }
  }

  /** Frees all that it holds. The model stays as it was. Safe to call again. */
  override dispose(): void {
    super.dispose()
    this.#scores?.dispose()
  }

  async #smooth(
    x: Tensor,
    runPass: RunPass,
    most: number,
    { kind, samples, sigma, seed }: Required<Smoothing>,
    signal: AbortSignal | undefined,
  ): Promise<Tensor> {
    const images = x.shape[0] ?? 1
    const dtype = x.dtype === 'float64' ? 'float64' : 'float32'
    let sums: [Tensor, Tensor] | undefined
    try {
      await inParts(samples, most, async (from, to) => {
        const count = to - from
        const noisy: Tensor[] = []
        try {
          for (let sample = from; sample < to; sample++)
            noisy.push(await noisyCopy(x, dtype, sigma, seed + sample, signal))
          using copies = Tensor.cat(noisy)
          const pass = await runPass(copies, count)
          using _gradient = pass.gradient
          using attribution = (await this.#attribute(copies, pass, count, runPass, most)).attribution
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
      return tidy(() => {
        const mean = sum.div(samples)
        if (kind === 'mean') return mean
        const squared = squares.div(samples)
        return kind === 'squared' ? squared : squared.sub(mean.square())
      })
    } finally {
      disposeValue(sums ?? null)
    }
  }
}
