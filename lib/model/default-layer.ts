import type { CallOptions } from '../addon/abort.js'
import { expect, isRecord } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { Tensor } from '../tensor/tensor.js'
import { isFloating, observeLayers, type LayerOutput } from './observe-layers.js'
import { refusedInput } from './refused-input.js'
import { checkModel, type Model } from './model.js'

/**
 * The layer that Grad-CAM is used on most often: the last one that returned [N, C, h, w] with more than one spatial
 * position, before the model pools its features. Where a block and the last layer inside it return the same, it is the
 * block.
 *
 * @param outputs from {@link observeLayers}
 * @param dimensions how many spatial ones the model's input has: 3 for volumes, 1 for signals; 2 by default
 * @returns null when no layer has a spatial output, as in a network of linear layers
 */
export function lastSpatialLayer(outputs: readonly LayerOutput[], dimensions = 2): LayerOutput | null {
  const list = expect.list('outputs', outputs, isLayerOutput, 'the outputs of layers, from observeLayers')
  expect.integer('dimensions', dimensions, { min: 1, max: 3 })
  const spatial = list.filter(
    (output) => output.path !== '' && isFloating(output) && isSpatial(output.shape, dimensions),
  )
  // A last pooling, such as the 7x7 one of VGG, only blurs the output of the layer before it; dropout changes nothing.
  return spatial.findLast(({ typeName }) => !/pool|dropout|identity/i.test(typeName)) ?? spatial.at(-1) ?? null
}

/**
 * @deprecated Use `pickLayer`, which also finds the layers of transformers, with their `reshape`.
 *
 * The layer to explain where the caller names none: the {@link lastSpatialLayer} of one pass over a blank input. For
 * several candidates with reasons, and for transformers, use `suggestLayers`.
 *
 * @param shape of the input, [1, C, H, W]
 * @throws GradCamError ERR_LAYER_OUTPUT when no layer has a spatial output, ERR_MODEL_FROZEN, and what `model.forward`
 *   throws
 */
export async function defaultLayer(
  model: Model,
  shape: readonly number[],
  options: CallOptions = {},
): Promise<LayerOutput> {
  checkModel(model)
  using blank = Tensor.zeros(shape)
  const outputs = await observeLayers(model, blank, options).catch(async (error: unknown) => {
    throw await refusedInput(error, model, blank)
  })
  const layer = lastSpatialLayer(outputs)
  if (layer) return layer
  refuseWithoutLayers(model)
  throw new GradCamError(
    'ERR_LAYER_OUTPUT',
    `No layer of the model returns [N, C, h, w] with more than one spatial position for an input of [${shape.join(', ')}], ` +
      'so no map can be drawn. Try a larger input, or a method that requires no layer, e.g. guided-backprop.',
  )
}

/** @internal Throws where a model has no layers at all, with why. */
export function refuseWithoutLayers(model: Model): void {
  if (model.namedModules().length > 1) return
  if (!model.capabilities.hookable) model.checkLayer('features') // a frozen model has an error of its own
  throw new GradCamError(
    'ERR_LAYER_OUTPUT',
    'The model has no layers: its code is in one module, as that of a traced function is.',
    { remedy: 'Use a method of the input, e.g. saliency or occlusion, or export the model with its modules.' },
  )
}

const isLayerOutput = (value: unknown): value is LayerOutput =>
  isRecord(value) && typeof value['path'] === 'string' && typeof value['typeName'] === 'string'

function isSpatial(shape: readonly number[] | null, dimensions: number): boolean {
  const positions = (shape ?? []).slice(2).reduce((product, size) => product * size, 1)
  return shape?.length === dimensions + 2 && positions > 1
}
