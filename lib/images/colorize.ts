import { checkTensorShape, Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { jetColors, jetTable } from './jet.js'
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
  const [images, , height, width] = tensor.shape
  return tidy(() => {
    const values = asFloat(tensor.detach())
    const black = jetColors
    const index = values
      .mul(jetColors)
      .floor()
      .clamp(0, jetColors - 1)
      .maskedFill(values.isnan(), black)
    const table = Tensor.from(withBlack(), [jetColors + 1, 3], { device: tensor.device })
    return table
      .indexSelect(0, index.to({ dtype: 'int64' }).flatten())
      .reshape([images as number, height as number, width as number, 3])
      .permute([0, 3, 1, 2])
      .contiguous()
  })
}

/** The table, followed by black. */
function withBlack(): Float32Array {
  const colors = new Float32Array((jetColors + 1) * 3)
  colors.set(jetTable())
  return colors
}
