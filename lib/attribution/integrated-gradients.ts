import { native } from '../addon/native.js'
import { tidy } from '../tensor/tidy.js'
import { fromBaseline } from './baseline.js'
import { pointOf, sumOverPoints, type ManyPassMethod } from './many-passes.js'

/**
 * Integrated gradients: (x - x0) times the mean of the gradient on the straight line from the baseline x0 to x, by a
 * Gauss-Legendre quadrature as Captum's. Sundararajan et al. 2017, arXiv:1703.01365, equation 1.
 */
export const integratedGradients: ManyPassMethod = {
  steps: 50,
  complete: true,
  async attribute(copied, passes, { steps, baseline }) {
    const { points, weights } = native().gaussLegendre(steps)
    using path = fromBaseline(baseline, copied.x, copied.copies)
    const { start, way } = path
    using mean = await sumOverPoints(copied, passes, steps, (i) =>
      pointOf(
        tidy(() => start.add(way.mul(points[i] as number))),
        weights[i] as number,
      ),
    )
    return tidy(() => mean.mul(way))
  },
}
