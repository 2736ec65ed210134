import { GradCamError } from '../base/errors.js'
import { tidy } from '../tensor/tidy.js'
import { gaussianBlur } from './gaussian-blur.js'
import { pointOf, sumOverPoints, type ManyPassMethod } from './many-passes.js'

/** The step of the difference that stands for the derivative by the deviation. */
const step = 0.01

/**
 * Blur integrated gradients: the path from the image to a blurred one, x_s with the deviation s from 0 to the largest;
 * - sum_i ds (dx_s / ds) g(x_s). Xu et al. 2020, "Attribution in Scale and Space", arXiv:2004.03383, equation 8, with the
 * points, the derivative and the blur (zeros beyond the borders) of PAIR's saliency.
 */
export const blurIg: ManyPassMethod = {
  steps: 100,
  complete: false,
  async attribute(copied, passes, { steps, maxSigma }) {
    const { x } = copied
    if (x.shape.length !== 4)
      throw new GradCamError(
        'ERR_SHAPE',
        `Blur IG takes images [N, C, H, W], but the input is [${x.shape.join(', ')}].`,
        { details: { shape: x.shape } },
      )
    const options = { signal: passes.signal }
    using exact = tidy(() => x.detach().to({ dtype: 'float64' }))
    const blurred = (sigma: number) => gaussianBlur(exact, sigma, options)
    using sum = await sumOverPoints(copied, passes, steps, async (i) => {
      const sigma = (i * maxSigma) / steps
      const at = await blurred(sigma)
      using further = await blurred(sigma + step)
      return pointOf(
        at,
        tidy(() => further.sub(at).div(step)),
      )
    })
    return tidy(() => sum.mul(-maxSigma / steps).to({ dtype: x.dtype }))
  },
}
