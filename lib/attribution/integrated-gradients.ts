import { native } from '../addon/native.js'
import type { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { fromBaseline, type Path } from './baseline.js'
import { pointOf, sumOverPoints, type Copied, type ManyPassMethod, type Passes } from './many-passes.js'

/** The attributions of one straight line, for the caller to dispose. */
export async function alongLine(copied: Copied, passes: Passes, steps: number, { start, way }: Path): Promise<Tensor> {
  const { points, weights } = native().gaussLegendre(steps)
  using mean = await sumOverPoints(copied, passes, steps, (i) =>
    pointOf(
      tidy(() => start.add(way.mul(points[i] as number))),
      weights[i] as number,
    ),
  )
  return tidy(() => mean.mul(way))
}

/**
 * Integrated gradients: (x - x0) times the mean of the gradient on the straight line from the baseline x0 to x, by a
 * Gauss-Legendre quadrature as Captum's. Sundararajan et al. 2017, arXiv:1703.01365, equation 1.
 */
export const integratedGradients: ManyPassMethod = {
  steps: 50,
  complete: true,
  async attribute(copied, passes, { steps, baseline }) {
    using path = fromBaseline(baseline, copied.x, copied.copies)
    return await alongLine(copied, passes, steps, path)
  },
}
