import type { ExecutionContext } from 'ava'
import type { Values } from './stored-tensor.js'

/** How near to PyTorch in Python every map and gradient has to be, see relativeError. */
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
  let difference = 0
  for (let i = 0; i < actual.length; i++) difference += (Number(actual[i]) - Number(expected[i])) ** 2
  const error = Math.sqrt(difference) / norm(expected)
  return Number.isFinite(error) ? error : NaN
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
  expected: Values,
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
  expected: Values,
  what: string,
  tolerance = parityTolerance,
): void {
  t.deepEqual([...actual.shape], expected.shape, `${what}: shape`)
  const numbers = actual.toTypedArray()
  const error = norm(expected.data) === 0 ? norm(numbers) : relativeError(numbers, expected.data)
  t.true(error <= tolerance, `${what}: relative error ${error.toExponential(2)}, allowed ${tolerance}`)
}
