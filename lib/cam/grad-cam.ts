import { Cam } from './cam.js'
import { CamExplanation } from './cam-explanation.js'
import { expect } from '../base/check.js'
import type { ExecutionOptions } from '../explain/execution.js'
import type { Reshape } from './reshape.js'
import type { Model } from '../model/model.js'

export interface GradCamOptions extends ExecutionOptions {
  /** For layers that return something else than [N, C, h, w], such as a transformer's tokens. */
  readonly reshape?: Reshape
}

/**
 * Grad-CAM: where the target layers saw evidence for the target.
 *
 * For an activation A and its gradient G, both [N, C, h, w], the map is max(sum_k w_k A_k, 0) with w_k the mean of G_k over
 * space. Selvaraju et al. 2017, arXiv:1610.02391. Maps have the layer's own size and are not normalised: see
 * {@link interpolate} and {@link normalize}. It is {@link Cam} with that one method, and all else as by default.
 */
export class GradCam extends Cam {
  /**
   * @param layers paths of target layers, each returning one floating-point tensor [N, C, h, w]; `model.namedModules()`
   *   lists them
   * @throws GradCamError ERR_LAYER_NOT_FOUND with the nearest names, ERR_LAYER_NOT_HOOKABLE, ERR_MODEL_FROZEN; at the first
   *   forward ERR_NOT_SPLITTABLE, where execution 'split' or a precision was asked for and the model cannot be split
   */
  constructor(model: Model, layers: readonly string[], options: GradCamOptions = {}) {
    const { execution, precision, precisionError, reshape } = expect.options(options)
    super(model, {
      layers,
      methods: ['gradcam'],
      ...(execution !== undefined && { execution }),
      ...(precision !== undefined && { precision }),
      ...(precisionError !== undefined && { precisionError }),
      ...(reshape !== undefined && { reshape }),
    })
  }
}

export { CamExplanation as GradCamExplanation }
