import type { TensorHandle } from '../addon/native-values.js'
import { either, expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { conditionsOrDispose } from '../explain/tensor-conditions.js'
import { disposeExplained, ofPart, type ExplainOptions } from '../explain/explained.js'
import { Explainer } from '../explain/explainer.js'
import { TensorExplanation, type ExplanationFields } from '../explain/explanation.js'
import { checkModel, type Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'

const biased = ['Conv1d', 'Conv2d', 'Conv3d', 'BatchNorm1d', 'BatchNorm2d', 'BatchNorm3d']

/** What {@link FullGrad} may be told. */
export interface FullGradOptions {
  /**
   * Which of the model's inputs the map is of, from 0, where there are several; the first by default. Biases of what is
   * computed from other inputs alone do not take part.
   */
  readonly input?: number
}

/**
 * FullGrad: the gradient at the input and at every bias of the model, put together. It takes no layer.
 *
 * n(sum_c n(|x_c dx_c|) + sum over layers and channels of U(n(|b_k G_k|))): x is the input, b_k what a convolution or batch
 * normalisation adds to its channel k whatever its input is, G_k the gradient there, n min-max normalises each channel, or the
 * whole, and U upsamples bilinearly. Srinivas and Fleuret 2019, arXiv:1905.00780, as pytorch-grad-cam has it. Other
 * layers with a bias, such as linear ones, have no spatial positions and do not take part. The outputs of those that do are
 * kept for the backward.
 */
export class FullGrad extends Explainer {
  /** Paths of the layers that may have a bias. */
  readonly layers: readonly string[]

  /**
   * @throws GradCamError ERR_INVALID_ARGUMENT; ERR_LAYER_NOT_FOUND where the model has no convolution and no batch
   *   normalisation
   */
  constructor(model: Model, options: FullGradOptions = {}) {
    const { input = 0 } = expect.options(options)
    expect.integer('input', input, { min: 0 })
    const layers = checkModel(model)
      .namedModules()
      .filter(({ typeName, hookable }) => hookable && biased.includes(typeName))
    if (layers.length === 0)
      throw new GradCamError(
        'ERR_LAYER_NOT_FOUND',
        `FullGrad requires a layer of type ${either(biased)}, but the model has none.`,
      )
    const paths = layers.map(({ path }) => path)
    super(model, { layers: paths, input, fullGrad: true, inputGradient: true, guided: 'none' })
    this.layers = paths
  }

  /** The map after `backward`, [N, 1, spatial...] in [0, 1], for the caller to dispose. */
  get(): Tensor {
    return Tensor.own(this.explained.fullGrad as TensorHandle).detach()
  }

  /** Forward and backward in one call, which may overlap with others. */
  async explain<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    options: ExplainOptions<Output> = {},
  ): Promise<FullGradExplanation<Output>> {
    const { output, explained, warnings } = await this.run(inputs, options)
    const cam = Tensor.own(explained.fullGrad as TensorHandle).detach()
    const { classes: targets, scores } = explained
    const part = ofPart(explained)
    disposeExplained(explained)
    const { model } = this
    const conditions = await conditionsOrDispose(
      output,
      cam,
      model,
      { scores, gradient: true, from: 'weighted' },
      options,
    )
    return new FullGradExplanation({ model, output, cam, targets, scores, conditions, warnings, ...part })
  }
}

/** What {@link FullGrad.explain} found. Owns its tensors. */
export class FullGradExplanation<Output extends Value = Tensor> extends TensorExplanation<Output> {
  /** [N, 1, spatial...] in [0, 1], at the size of the input: [N, 1, H, W] for images. */
  readonly cam: Tensor

  /** @internal */
  constructor(found: ExplanationFields<Output> & { readonly cam: Tensor }) {
    super(found, found.cam)
    this.cam = found.cam
  }
}
