import { expect } from '../base/check.js'
import { allOf, orderOf, type Coalitions, type CoalitionMethod } from './coalitions.js'
import { leastSquares } from './least-squares.js'
import type { FeatureOptions } from './over-features.js'
import { uniforms } from './uniforms.js'

/** The settings of KernelSHAP. */
export interface KernelShapOptions extends FeatureOptions {
  /**
   * How many versions of an image are scored besides the baseline; 1000 by default. Where so many, or fewer, are all that there are (2^features - 2),
   * each is scored once, and the result is exact.
   */
  readonly samples?: number
  /** An integer from 0 on, 0 by default. The same seed gives the same versions, whatever the batch size. */
  readonly seed?: number
}

/**
 * The values v that minimise
 *
 *   sum_i w(z_i) (f(x_i) - f(x0) - sum_j v_j z_ij)^2    where sum_j v_j = f(x) - f(x0)
 *
 * over versions x_i of x, of which the features with z_ij = 1 are present and the others are the baseline's x0. With the Shapley
 * kernel w(z) = (M - 1) / (C(M, |z|) |z| (M - |z|)) over all z they are the Shapley values of the M features. Lundberg and Lee 2017,
 * "A Unified Approach to Interpreting Model Predictions", arXiv:1705.07874, theorem 2. Where z are drawn, it is with a
 * probability proportional to w, so that each weighs the same, and in pairs of a z and its complement.
 */
export function kernelShap(options: KernelShapOptions): CoalitionMethod {
  const { samples = 1000, seed = 0 } = options
  expect.count('samples', samples)
  expect.seed('seed', seed)
  return (features): Coalitions => {
    const {
      count,
      present: drawn,
      weight,
    } = 2 ** features - 2 <= samples ? every(features) : sampled(features, samples, seed)
    return {
      count: 1 + count,
      // The first is the baseline.
      present: (version) => (version === 0 ? allOf(features, 0) : drawn(version - 1)),
      solve: async (score, [base = 0, ...changed], call) => {
        // v is the equal share of the change and a rest that adds up to nothing: only the part of z that does, too, meets it.
        const share = (score - base) / features
        if (count === 0) return new Float64Array(features).fill(share)
        const rows: Float64Array[] = []
        const right = changed.map((one, i) => {
          const z = drawn(i)
          const size = z.reduce((sum, present) => sum + present, 0)
          const root = Math.sqrt(weight(size))
          rows.push(Float64Array.from(z, (present) => root * (present - size / features)))
          return root * (one - base - size * share)
        })
        const rest = await leastSquares(rows, Float64Array.from(right), call)
        return rest.map((value) => value + share)
      },
    }
  }
}

/** The versions besides the baseline and the image, and what one with so many features weighs. */
interface Drawn {
  readonly count: number
  readonly present: (i: number) => Uint8Array
  readonly weight: (size: number) => number
}

/** Each z that is neither all zeros nor all ones, once. */
function every(features: number): Drawn {
  const choose = (size: number) => {
    let ways = 1
    for (let i = 1; i <= size; i++) ways = (ways * (features - size + i)) / i
    return ways
  }
  return {
    count: 2 ** features - 2,
    present: (i) => Uint8Array.from({ length: features }, (_, j) => ((i + 1) >> j) & 1),
    weight: (size) => (features - 1) / (choose(size) * size * (features - size)),
  }
}

/** The size is drawn by the kernel's sum over all z of that size, 1 / (size (M - size)), then z among these. */
function sampled(features: number, samples: number, seed: number): Drawn {
  const sums: number[] = []
  for (let size = 1; size < features; size++) sums.push((sums.at(-1) ?? 0) + 1 / (size * (features - size)))
  const total = sums.at(-1) as number
  return {
    count: samples,
    present: (i) => {
      const [at = 0, ...others] = uniforms(seed, Math.floor(i / 2), 1 + features)
      const size =
        1 +
        Math.max(
          0,
          sums.findIndex((sum) => at * total < sum),
        )
      const z = allOf(features, i % 2)
      for (const j of orderOf(Float64Array.from(others)).slice(0, size)) z[j] = 1 - (i % 2)
      return z
    },
    weight: () => 1,
  }
}
