import type { ExecutionContext } from 'ava'
import { farthest } from './arithmetic.js'
import { verdictOf, type Judged } from './judged.js'
import type { Values } from './stored-tensor.js'

/**
 * How near to PyTorch in Python every map and gradient has to be, see relativeError; in float32 beyond what {@link Judged}
 * allows.
 */
export const parityTolerance = 1e-5

/** Anything with a shape and numbers: this package's Tensor, or a tensor read from a Python program's file. */
export interface TensorLike {
  readonly shape: readonly number[]
  toTypedArray(): ArrayLike<number | bigint>
}

/** ||actual - expected|| / ||expected||, summed in float64. NaN where that is not finite or expected is all zero. */
export function relativeError(actual: ArrayLike<number | bigint>, expected: ArrayLike<number | bigint>): number {
  if (actual.length !== expected.length) {
    throw new Error(`cannot compare ${actual.length} numbers with ${expected.length}`)
  }
  const error = distance(actual, expected) / norm(expected)
  return Number.isFinite(error) ? error : NaN
}

/** Euclidean distance, summed in float64; infinite for lists of different lengths. */
function distance(some: ArrayLike<number | bigint>, others: ArrayLike<number | bigint>): number {
  if (some.length !== others.length) return Infinity
  let sum = 0
  for (let i = 0; i < some.length; i++) sum += (Number(some[i]) - Number(others[i])) ** 2
  return Math.sqrt(sum)
}

/** Euclidean norm, summed in float64. */
export function norm(values: ArrayLike<number | bigint>): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += Number(values[i]) ** 2
  return Math.sqrt(sum)
}

/**
 * Asserts the shape and values of `actual`. An expected image that is all zero would agree with any method that gives
 * up, so it fails: pick inputs and classes that make it say something.
 */
export function assertParity(
  t: ExecutionContext,
  actual: TensorLike,
  expected: Judged,
  what: string,
  tolerance = parityTolerance,
): void {
  const size = expected.data.length / (expected.shape[0] ?? 1)
  for (let start = 0; start < expected.data.length; start += size) {
    const image = expected.data.subarray(start, start + size)
    t.true(norm(image) > 0, `${what}: what is expected of image ${start / size} is all zero`)
  }
  assertSame(t, actual, expected, what, tolerance)
}

/** Asserts the shape and values of a tensor that may well be all zero, e.g. a gradient that a ReLU stopped. */
export function assertSame(
  t: ExecutionContext,
  actual: TensorLike,
  expected: Judged,
  what: string,
  tolerance = parityTolerance,
): void {
  t.deepEqual([...actual.shape], expected.shape, `${what}: shape`)
  const { error, allowed } = verdictOf(actual.toTypedArray(), expected, tolerance, distance, norm)
  t.true(error <= allowed, `${what}: relative error ${error.toExponential(2)}, allowed ${allowed.toExponential(2)}`)
}

/**
 * Asserts differences of scores, as of occlusion: they are as near as the scores are, whose rounding they keep where they are much
 * smaller.
 */
export function assertDifferences(
  t: ExecutionContext,
  actual: TensorLike,
  expected: Values,
  scores: Values,
  what: string,
): void {
  const smaller = (largest(scores.data) * Math.sqrt(expected.data.length)) / norm(expected.data)
  assertParity(t, actual, expected, what, parityTolerance * Math.max(1, smaller))
}

const largest = (values: ArrayLike<number | bigint>): number => farthest(values, new Float64Array(values.length))

/** Asserts a few numbers, e.g. one for each image, by the one that is off most; relative to the largest of them, or to 1. */
export function assertNumbers(
  t: ExecutionContext,
  actual: readonly number[],
  expected: Judged,
  what: string,
  tolerance = parityTolerance,
  relativeTo: 'largest' | 'one' = 'largest',
): void {
  const scale = relativeTo === 'one' ? () => 1 : largest
  const { error, allowed } = verdictOf(actual, expected, tolerance, farthest, scale)
  t.true(error <= allowed, `${what}: ${actual.join(' ')} is off by ${error.toExponential(2)}, allowed ${allowed}`)
}

/** Asserts the shape of a map in [0, 1], and by how much any of its values is off. */
export function assertMap(
  t: ExecutionContext,
  actual: TensorLike,
  expected: Judged,
  what: string,
  tolerance = parityTolerance,
): void {
  t.deepEqual([...actual.shape], expected.shape, `${what}: shape`)
  const { error, allowed } = verdictOf(actual.toTypedArray(), expected, tolerance, farthest, () => 1)
  t.true(error <= allowed, `${what}: farthest ${error.toExponential(2)}, allowed ${allowed.toExponential(2)}`)
}
