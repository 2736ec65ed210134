import { uniforms } from '../perturbation/uniforms.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { references } from './baseline.js'
import { pointOf, sumOverPoints, type Copied, type ManyPassMethod } from './many-passes.js'

/** What is drawn for a row of x: where on the line from which baseline. */
export interface LineDraw {
  readonly baseline: number
  readonly at: number
}

/**
 * The draws of a sample, by row. They depend on the seed and the number of the copy, not on how many copies there are at a time. All
 * images have the same ones: what is found for an image does not depend on the others of its batch.
 */
export function lineDraws(seed: number, sample: number, copied: Copied, baselines: number): LineDraw[] {
  const rows = copied.x.shape[0] as number
  const images = rows / copied.copies
  return Array.from({ length: rows }, (_, row) => {
    const copy = copied.first + Math.floor(row / images)
    const [at = 0, which = 0] = uniforms(seed + copy, sample, 2)
    return { baseline: Math.floor(which * baselines), at }
  })
}

/**
 * GradientSHAP, also called expected gradients: the mean over draws of (x - x0) g(x0 + u (x - x0)), with x0 one of the
 * baselines and u uniform in [0, 1). Lundberg and Lee 2017, arXiv:1705.07874; Erion et al. 2021, "Improving performance of
 * deep learning models with axiomatic attribution priors and expected gradients", arXiv:1906.10670, equation 3.
 */
export const gradientShap: ManyPassMethod = {
  steps: 5,
  complete: false,
  async attribute(copied, passes, { steps, baseline, seed }) {
    const { x } = copied
    using rows = references(baseline, x)
    const baselines = rows.shape[0] as number
    const point = (i: number) => {
      const draws = lineDraws(seed, i, copied, baselines)
      const shares = Float64Array.from(draws, ({ at }) => at)
      const start = tidy(() =>
        Tensor.cat(draws.map((draw) => rows.narrow(0, draw.baseline, 1)))
          .expand([...x.shape])
          .clone(),
      )
      using _start = start
      const way = tidy(() => x.detach().sub(start))
      return pointOf(
        tidy(() => {
          const column = Tensor.from(shares, [draws.length, ...x.shape.slice(1).map(() => 1)], { device: x.device })
          return start.add(way.mul(column.to({ dtype: x.dtype })))
        }),
        way,
      )
    }
    using sum = await sumOverPoints(copied, passes, steps, point)
    return tidy(() => sum.div(steps))
  },
}
