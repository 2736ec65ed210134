import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import type { Coalitions, CoalitionMethod } from './coalitions.js'
import { leastSquares } from './least-squares.js'
import type { FeatureOptions } from './over-features.js'
import { uniforms } from './uniforms.js'

/** The settings of LIME. */
export interface LimeOptions extends FeatureOptions {
  /** How many versions of an image are scored; 1000 by default. */
  readonly samples?: number
  /** An integer from 0 on, 0 by default. The same seed gives the same versions, whatever the batch size. */
  readonly seed?: number
  /** The width of the kernel by which versions near the image weigh more, as a distance; 0.25 by default, as the authors' code. */
  readonly kernelWidth?: number
  /** The weight of the squared coefficients beside the squared errors; 1 by default, as the authors' code. */
  readonly ridge?: number
}

/**
 * The coefficients c of the linear model c0 + sum_j c_j z_j that minimises
 *
 *   sum_i w(z_i) (f(x_i) - c0 - sum_j c_j z_ij)^2 + ridge sum_j c_j^2
 *
 * over random versions x_i of x, of which each feature is present (z_ij = 1) with probability 1/2, and the first is x itself. Ribeiro et al. 2016, '"Why
 * Should I Trust You?"', arXiv:1602.04938, equation 2, with the kernel of the authors' code for images:
 * w(z) = exp(-d(z)^2 / (2 width^2)), d(z) the cosine distance 1 - sqrt(|z| / features) of z and all ones.
 */
export function lime(options: LimeOptions): CoalitionMethod {
  const { samples = 1000, seed = 0, kernelWidth = 0.25, ridge = 1 } = options
  expect.count('samples', samples)
  expect.seed('seed', seed)
  expect.number('kernelWidth', kernelWidth, { above: 0 })
  expect.number('ridge', ridge, { min: 0 })
  return (features): Coalitions => {
    const versions = Array.from({ length: samples }, (_, version) =>
      Uint8Array.from(uniforms(seed, version, features), (drawn) => (version === 0 || drawn < 0.5 ? 1 : 0)),
    )
    const weights = versions.map((z) => {
      const distance = 1 - Math.sqrt(z.reduce((sum, one) => sum + one, 0) / features)
      return Math.exp(-(distance ** 2) / (2 * kernelWidth ** 2))
    })
    checkWeights(versions, weights, kernelWidth)
    return {
      count: samples,
      present: (version) => versions[version] as Uint8Array,
      solve: (_, changed, call) => ridgeCoefficients(versions, changed, weights, ridge, call),
    }
  }
}

/** All coefficients would be 0, or rounding alone, where versions without a feature weigh nothing beside the image itself. */
function checkWeights(z: readonly Uint8Array[], weights: readonly number[], kernelWidth: number): void {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
  const changed = sum(weights.filter((_, i) => z[i]?.includes(0)))
  if (changed >= Number.EPSILON * sum(weights)) return
  throw new GradCamError(
    'ERR_INVALID_ARGUMENT',
    `LIME compares an image with versions of it that lack features, and these weigh nothing here: of ${z.length} samples, with a kernelWidth of ${kernelWidth}.`,
    { remedy: 'Give more samples, or a greater kernelWidth.' },
  )
}

/** The coefficients of a weighted ridge regression with an intercept, which leaves with the weighted means. */
async function ridgeCoefficients(
  z: readonly Uint8Array[],
  y: readonly number[],
  weights: readonly number[],
  ridge: number,
  call: Parameters<Coalitions['solve']>[2],
): Promise<Float64Array> {
  const features = z[0]?.length ?? 0
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const meanOf = (value: (i: number) => number) =>
    weights.reduce((sum, weight, i) => sum + (weight / total) * value(i), 0)
  const means = Float64Array.from({ length: features }, (_, j) => meanOf((i) => (z[i] as Uint8Array)[j] as number))
  const mean = meanOf((i) => y[i] as number)
  const roots = weights.map(Math.sqrt)
  const rows = z.map((row, i) =>
    Float64Array.from(row, (one, j) => (roots[i] as number) * (one - (means[j] as number))),
  )
  const right = y.map((one, i) => (roots[i] as number) * (one - mean))
  // ridge sum c^2 is the error of rows that ask for sqrt(ridge) c = 0.
  for (let j = 0; ridge > 0 && j < features; j++) {
    const row = new Float64Array(features)
    row[j] = Math.sqrt(ridge)
    rows.push(row)
    right.push(0)
  }
  return await leastSquares(rows, Float64Array.from(right), call)
}
