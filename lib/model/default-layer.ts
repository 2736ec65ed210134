import { GradCamError } from '../base/errors.js'
import type { Model } from './model.js'
import { suggestLayer, type LayerOutput } from './observe-layers.js'
import { Tensor } from '../tensor/tensor.js'
import { refusedInput } from './refused-input.js'

/**
 * The layer that maps are most often made of, found by running the model once on a blank image.
 *
 * @param file of the model, and `advice` on what else could be done: for the error where there is no such layer
 */
export async function pickLayer(
  model: Model,
  file: string,
  size: readonly [number, number],
  advice = '',
): Promise<LayerOutput> {
  using blank = Tensor.zeros([1, 3, ...size])
  const layer = await suggestLayer(model, blank).catch((error: unknown) => {
    throw refusedInput(error, blank.shape)
  })
  if (layer) return layer
  // A frozen model has an error of its own, which says why there is nothing to find.
  if (model.namedModules().length === 1) model.checkLayer('features')
  throw new GradCamError(
    'ERR_LAYER_OUTPUT',
    `No layer of '${file}' returns [N, C, h, w] at ${size.join('x')}, so there is no map to draw.${advice}`,
  )
}
