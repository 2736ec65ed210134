import type { NativeExplained, PassPlan, TensorHandle } from '../addon/binding.js'
import { explainAugmented } from './augment.js'
import { CamExplanation, mapIndex } from './cam-explanation.js'
import { checkMethods, type CamMethod } from './cam-methods.js'
import { expect, invalid } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import {
  Explainer,
  toExecutionPlan,
  type ExecutionOptions,
  type ExplainOptions,
  type Run,
} from '../explain/explainer.js'
import { toNativeReshape, type Reshape } from './reshape.js'
import type { ScriptModule } from '../model/script-module.js'
import { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'

/** The form of a map: see {@link CamOptions.compat}. */
export type CamCompat = 'paper' | 'pytorch-grad-cam' | 'captum'

/** How the maps of several layers become one. */
export type CamAggregate = 'each' | 'mean' | 'max' | 'product'

export interface CamOptions extends ExecutionOptions {
  /** Paths of target layers; `model.namedModules()` lists them, {@link suggestLayers} proposes some. */
  readonly layers: readonly string[]
  /** The maps to make of each layer, all from one pass; Grad-CAM by default. */
  readonly methods?: readonly CamMethod[]
  /**
   * The form of the maps.
   * - 'paper' (the default): max(., 0) of the formula, [N, 1, h, w] in the layer's own size, not normalised. Nothing is
   *   lost, and maps of one layer can be compared between images, classes and methods.
   * - 'pytorch-grad-cam': [N, 1, H, W] in [0, 1]: each map min-max normalised with 1e-7, upsampled bilinearly to the size of
   *   the input, combined over layers ('mean' unless `aggregate` is given), and min-max normalised again.
   * - 'captum': as the formula gives it, with negative values, in the layer's own size.
   */
  readonly compat?: CamCompat
  /**
   * 'each' (the default): a map per layer. Otherwise one map of all layers, which are first brought to one scale and size
   * as pytorch-grad-cam does, whatever `compat` is.
   */
  readonly aggregate?: CamAggregate
  /**
   * The first principal component over channels instead of their sum, for the methods that sum; less noisy. Unlike
   * pytorch-grad-cam's its sign is defined: on the side of the sum.
   */
  readonly eigenSmooth?: boolean
  /** For layers that return something else than [N, C, h, w], such as a transformer's tokens. */
  readonly reshape?: Reshape
  /** Of random maps; the same seed gives the same maps. An integer from 0 on, 0 by default. */
  readonly seed?: number
  /**
   * For Score-CAM and Ablation-CAM, how many copies of an image run at a time: more take more memory, and the result does
   * not depend on it beyond rounding. Fewer where memory runs out. 32 by default; 1 for models that take one image alone.
   */
  readonly chunkSize?: number
}

export interface CamExplainOptions<Output extends Value = Tensor> extends ExplainOptions<Output> {
  /**
   * The mean over six passes: the image and its mirror image, each multiplied by 0.9, 1 and 1.1, as pytorch-grad-cam's
   * aug_smooth. The top class is that of the unchanged image, which is what output, targets and scores are of. The only
   * input must be a tensor [N, C, H, W].
   */
  readonly augment?: boolean
}

const compats = ['paper', 'pytorch-grad-cam', 'captum'] as const
const aggregates = ['each', 'mean', 'max', 'product'] as const

function toPlan(options: CamOptions, methods: readonly CamMethod[]): PassPlan {
  const { layers, compat = 'paper', eigenSmooth = false, seed = 0, chunkSize = 32, reshape } = options
  const aggregate = options.aggregate ?? (compat === 'pytorch-grad-cam' ? 'mean' : 'each')
  const paths = expect.strings('layers', layers, "['features']")
  expect.oneOf('compat', compat, compats)
  expect.oneOf('aggregate', aggregate, aggregates)
  if (compat === 'captum' && aggregate !== 'each')
    throw invalid('aggregate', "'each' where `compat` is 'captum', since Captum makes one map per layer", aggregate)
  expect.boolean('eigenSmooth', eigenSmooth)
  expect.seed('seed', seed)
  expect.count('chunkSize', chunkSize)
  if (typeof reshape === 'function' && methods.includes('ablationcam'))
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      'Ablation-CAM puts zeros in channels of what the layer itself returns, which a reshape function does not tell.',
      { remedy: 'Give `reshape` by name or as plain data.' },
    )
  return {
    layers: paths,
    methods,
    relu: compat !== 'captum',
    eigenSmooth,
    inputSize: compat === 'pytorch-grad-cam' || aggregate !== 'each',
    aggregate,
    reshape: toNativeReshape(reshape),
    seed,
    chunkSize,
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
 * Score-CAM and Ablation-CAM then run the model, or what follows the layer, once more for each channel; their target must
 * be plain data, not a function. A layer that runs several times in one pass is explained at its last call. Half-precision activations are
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
  constructor(model: ScriptModule, options: CamOptions) {
    const given = { ...expect.options(options) }
    const methods = checkMethods(given.methods ?? ['gradcam'])
    const plan = toPlan(given, methods)
    super(model, plan)
    this.layers = plan.layers
    this.methods = methods
    this.#aggregated = plan.aggregate !== 'each'
  }

  /**
   * The map after `backward`, [N, 1, ...], float32 or float64, for the caller to dispose.
   *
   * @param layer the first by default; left out where the maps of all layers are aggregated
   * @param method the first by default
   */
  get(layer?: string, method?: CamMethod): Tensor {
    const { maps } = this.explained
    const [byMethod, byLayer] = mapIndex(this.layers, this.methods, this.#aggregated, layer, method)
    return share(maps[byMethod]?.[byLayer]?.map as TensorHandle)
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
