import { native } from '../addon/native.js'
import { checkTensorShape, Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { jetTable } from './jet.js'
import { asFloat } from './normalize.js'

/**
 * Paints maps in the colours of jet, from blue for 0 to red for 1, exactly as matplotlib's `plt.cm.jet` does: the colour
 * at `floor(256 x)` of its table of 256, the first below 0, the last from 1 on, and black for NaN.
 *
 * @param tensor [N, 1, H, W], on any device; see {@link normalize} for bringing it to [0, 1]
 * @returns [N, 3, H, W] float32 in [0, 1], red, green and blue
 * @throws GradCamError ERR_SHAPE
 */
export function colorize(tensor: Tensor): Tensor {
  checkTensorShape('tensor', tensor, '[N, 1, H, W]', (shape) => shape.length === 4 && shape[1] === 1)
  return tidy(() => Tensor.own(native().colorize(asFloat(tensor).handle, jetTable())))
}
