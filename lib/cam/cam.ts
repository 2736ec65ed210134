import type { NativeExplained, NativeMap, PassPlan } from '../addon/native-pass.js'
import type { TensorHandle } from '../addon/native-values.js'
import { explainAugmented } from './augment.js'
import {
  camConditions,
  CamExplanation,
  contributionOf,
  failuresOf,
  mapIndex,
  throwFailure,
  type CamFailure,
} from './cam-explanation.js'
import type { CamExplainOptions, CamOptions } from './cam-options.js'
import { checkMethods, type CamMethod } from './cam-methods.js'
import { expect, invalid } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import type { MapCondition } from '../explain/condition.js'
import { Explainer } from '../explain/explainer.js'
import { precisionLimit, toExecutionPlan } from '../explain/execution.js'
import type { ExplainOptions, Run } from '../explain/explained.js'
import { layerChoice } from './layer-choice.js'
import { toNativeReshape } from './reshape.js'
import type { Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'

export type { CamAggregate, CamCompat, CamExplainOptions, CamOptions } from './cam-options.js'

const compats = ['paper', 'pytorch-grad-cam', 'captum'] as const
const aggregates = ['each', 'mean', 'max', 'product'] as const

/** As the points of a quadrature take time with the square of their number, and each is a pass. */
const mostSteps = 10_000
/** Each is a pass, or one for each channel. */
const mostSamples = 100_000

function toPlan(options: CamOptions, methods: readonly CamMethod[]): PassPlan {
  const { layers, compat = 'paper', eigenSmooth = false, seed = 0, chunkSize = 32, reshape } = options
  const { samples, sigma, steps, baseline = 0, contributions = false } = options
  const choice = layerChoice(options)
  const aggregate = options.aggregate ?? (compat === 'pytorch-grad-cam' ? 'mean' : 'each')
  const paths = expect.strings('layers', layers, "['features']")
  expect.oneOf('compat', compat, compats)
  expect.oneOf('aggregate', aggregate, aggregates)
  if (compat === 'captum' && aggregate !== 'each')
    throw invalid('aggregate', "'each' where `compat` is 'captum', since Captum makes one map per layer", aggregate)
  expect.boolean('eigenSmooth', eigenSmooth)
  expect.boolean('contributions', contributions)
  if (contributions && aggregate !== 'each')
    throw invalid(
      'contributions',
      'false where `aggregate` is given, since channels belong to one layer',
      contributions,
    )
  expect.seed('seed', seed)
  expect.count('chunkSize', chunkSize)
  if (samples !== undefined) expect.integer('samples', samples, { min: 1, max: mostSamples })
  if (sigma !== undefined) expect.number('sigma', sigma, { min: 0 })
  if (steps !== undefined) expect.integer('steps', steps, { min: 1, max: mostSteps })
  expect.number('baseline', baseline)
  if (typeof reshape === 'function' && methods.includes('ablationcam'))
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      'Ablation-CAM puts zeros in channels of what the layer itself returns, which a reshape function does not tell.',
      { remedy: 'Give `reshape` by name or as plain data.' },
    )
  return {
    layers: paths,
    ...choice,
    methods,
    relu: compat !== 'captum',
    eigenSmooth,
    contributions,
    inputSize: compat === 'pytorch-grad-cam' || aggregate !== 'each',
    aggregate,
    reshape: toNativeReshape(reshape),
    seed,
    chunkSize,
    ...(samples !== undefined && { samples }),
    ...(sigma !== undefined && { sigma }),
    ...(steps !== undefined && { steps }),
    lineStart: baseline,
    inputGradient: false,
    guided: 'none',
    ...toExecutionPlan(options),
  }
}

/** A new tensor, for the caller, on the same memory. */
const share = (handle: TensorHandle): Tensor => Tensor.own(handle).detach()

/**
 * Class activation maps: where target layers saw evidence for the target, by any of the {@link camMethods}.
 *
 * All methods and layers share one forward and one backward; methods that need no gradient skip the backward.
 * Some methods then run the model again, or what follows the layer, e.g. once for each channel (see `reruns` of
 * {@link camMethods}); their target must be plain data, not a function. A layer that runs several times in one pass is explained at its last call, or at that of
 * `call`. Half-precision activations are
 * taken to float32 before any formula.
 *
 * ```ts
 * using cam = new Cam(model, { layers: ['layer4'], methods: ['gradcam++', 'layercam'], compat: 'pytorch-grad-cam' })
 * using found = await cam.explain(input, { target: 281 })
 * found.get('layer4', 'layercam') // [N, 1, H, W]
 * ```
 */
export class Cam extends Explainer {
  readonly layers: readonly string[]
  readonly methods: readonly CamMethod[]
  readonly #aggregated: boolean

  /**
   * @throws GradCamError ERR_LAYER_NOT_FOUND with the nearest names, ERR_LAYER_NOT_HOOKABLE, ERR_MODEL_FROZEN,
   *   ERR_INVALID_ARGUMENT; at the first forward ERR_NOT_SPLITTABLE, where execution 'split' or a precision was asked for
   *   and the model cannot be split
   */
  constructor(model: Model, options: CamOptions) {
    const given = { ...expect.options(options) }
    const methods = checkMethods(given.methods ?? ['gradcam'])
    const plan = toPlan(given, methods)
    super(model, plan, precisionLimit(given))
    this.layers = plan.layers
    this.methods = methods
    this.#aggregated = plan.aggregate !== 'each'
  }

  /**
   * The map after `backward`, [N, 1, ...], float32 or float64, for the caller to dispose.
   *
   * @param layer the first by default; left out where the maps of several layers are aggregated
   * @param method the first by default
   * @throws the error of a method that failed: see `failures`
   */
  get(layer?: string, method?: CamMethod): Tensor {
    const { maps } = this.explained
    const [byMethod, byLayer] = mapIndex(this.layers, this.methods, this.#aggregated, layer, method)
    throwFailure(this.failures, this.methods[byMethod] as CamMethod)
    return share(maps[byMethod]?.[byLayer]?.map as TensorHandle)
  }

  /**
   * What each channel adds to a map after `backward`: see {@link CamExplanation.contribution}. For the caller to dispose.
   *
   * @param layer the first by default
   * @param method the first by default
   * @throws GradCamError ERR_INVALID_ARGUMENT without the option `contributions`, and for methods that do not sum over channels
   */
  contribution(layer?: string, method?: CamMethod): Tensor {
    const { maps } = this.explained
    const [byMethod, byLayer] = mapIndex(this.layers, this.methods, this.#aggregated, layer, method)
    const name = this.methods[byMethod] as CamMethod
    throwFailure(this.failures, name)
    return share(contributionOf(maps[byMethod]?.[byLayer], name))
  }

  /** The methods that made no maps in the last `backward` while others did, each with its error. */
  get failures(): readonly CamFailure[] {
    return failuresOf(this.explained, this.methods)
  }

  /** For each image, whether the map of `get` says something, and if not, why. */
  conditions(layer?: string, method?: CamMethod): MapCondition[] {
    const { explained } = this
    const [byMethod, byLayer] = mapIndex(this.layers, this.methods, this.#aggregated, layer, method)
    throwFailure(this.failures, this.methods[byMethod] as CamMethod)
    const map = explained.maps[byMethod]?.[byLayer] as NativeMap
    const at = this.#aggregated ? null : { path: this.layers[byLayer] as string, index: byLayer }
    return camConditions(this.model, explained, map, this.methods[byMethod] as CamMethod, at)
  }

  /**
   * What the layer returned in the forward pass, in its own shape, for the caller to dispose.
   *
   * @throws GradCamError ERR_NO_BACKWARD, ERR_LAYER_NOT_FOUND
   */
  activation(layer: string): Tensor {
    return share(this.#of(layer).activation as TensorHandle)
  }

  /**
   * The gradient of the score with respect to the activation, of the same shape, for the caller to dispose.
   *
   * @throws GradCamError ERR_NO_GRADIENT where none of the methods needs it, so that there is none
   */
  gradient(layer: string): Tensor {
    const { gradient } = this.#of(layer)
    if (gradient) return share(gradient)
    throw new GradCamError(
      'ERR_NO_GRADIENT',
      `${this.methods.join(', ')} need no gradient, so nothing was differentiated.`,
      { remedy: "Add 'gradcam' to `methods`.", details: { methods: this.methods } },
    )
  }

  /** How often the last forward called a layer: the last call is explained, unless `call` says which. */
  calls(layer: string): number {
    return this.#of(layer).calls
  }

  #explanation<Output extends Value>(run: Run<Output>): CamExplanation<Output> {
    return new CamExplanation(run, this.layers, this.methods, this.#aggregated)
  }

  #of(layer: string): NativeExplained['layers'][number] {
    const { layers } = this.explained
    const [, index] = mapIndex(this.layers, this.methods, false, layer, undefined)
    return layers[index] as NativeExplained['layers'][number]
  }

  /**
   * Forward, backward and maps in one call, which may overlap with others.
   *
   * @returns the explanation, which owns all its tensors and is to be disposed
   * @throws GradCamError see `forward` and `backward`
   */
  async explain<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    options: CamExplainOptions<Output> = {},
  ): Promise<CamExplanation<Output>> {
    const explainOnce = async (given: Value | readonly Value[], once: ExplainOptions<Output>) => {
      return this.#explanation(await this.run(given, once))
    }
    const { augment = false } = expect.options(options)
    expect.boolean('augment', augment)
    return augment ? await explainAugmented(inputs, options, explainOnce) : await explainOnce(inputs, options)
  }

  /**
   * The maps of the `k` classes with the highest logits, from one forward.
   *
   * @param k how many classes, from 1 to all
   * @param options.of the path to the logits, where the output is not a tensor: see {@link TargetData}
   * @returns `k` explanations, best class first, each to be disposed; its targets are the classes of that rank, per image
   */
  async explainTop(
    inputs: Value | readonly Value[],
    k: number,
    options: Omit<ExplainOptions, 'target'> & { of?: string | number | readonly (string | number)[] } = {},
  ): Promise<CamExplanation<Value>[]> {
    const found = await this.runTop(inputs, k, options)
    return found.map((run) => this.#explanation(run))
  }
}
