import type { ExecutionContext } from 'ava'

/** Standard errors by which the mean of estimates may miss: of a hundred thousand right estimators seven fail. */
const allowed = 4

/**
 * Asserts that estimates of one number, each of a seed of its own, have the right mean, and that the test has power: an
 * estimator that is off by `detectable` fails it with a probability of at least 0.977, being six standard errors off, two more
 * than are allowed. With fixed seeds the test passes or fails for good.
 */
export function assertUnbiased(
  t: ExecutionContext,
  estimates: readonly number[],
  { expected, detectable, what }: { expected: number; detectable: number; what: string },
): void {
  const mean = estimates.reduce((sum, one) => sum + one, 0) / estimates.length
  const variance = estimates.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (estimates.length - 1)
  const error = Math.sqrt(variance / estimates.length)
  t.true(error > 0, `${what}: every seed gives ${mean}`)
  t.true(6 * error <= detectable, `${what}: only ${6 * error} would be noticed, not ${detectable}`)
  t.true(
    Math.abs(mean - expected) < allowed * error,
    `${what}: ${mean} instead of ${expected}, standard error ${error}`,
  )
}
