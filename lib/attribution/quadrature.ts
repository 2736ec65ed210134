/** The points and weights of a quadrature on [0, 1]. */
export interface Quadrature {
  readonly points: readonly number[]
  /** They sum to 1. */
  readonly weights: readonly number[]
}

/**
 * Gauss-Legendre quadrature with n points: exact for polynomials up to degree 2 n - 1. The points are the roots of the
 * Legendre polynomial P_n, found by Newton's method from Tricomi's approximation.
 */
export function gaussLegendre(n: number): Quadrature {
  const points: number[] = []
  const weights: number[] = []
  for (let i = n; i >= 1; i--) {
    let x = Math.cos((Math.PI * (i - 0.25)) / (n + 0.5))
    let slope = 0
    for (let step = 0, change = 1; step < 100 && Math.abs(change) > 1e-16; step++) {
      const { value, derivative } = legendre(n, x)
      change = value / derivative
      x -= change
      slope = derivative
    }
    points.push((1 + x) / 2)
    weights.push(1 / ((1 - x * x) * slope * slope))
  }
  return { points, weights }
}

/** P_n and its derivative at x, by the three-term recurrence. */
function legendre(n: number, x: number): { value: number; derivative: number } {
  let [before, value] = [1, x]
  for (let k = 2; k <= n; k++) [before, value] = [value, ((2 * k - 1) * x * value - (k - 1) * before) / k]
  return { value, derivative: (n * (before - x * value)) / (1 - x * x) }
}
