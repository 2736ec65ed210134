import type { Values } from './stored-tensor.js'

/**
 * What a Python program expects of a float32 model, with what says how far from it float32 may be.
 *
 * Two right results differ as their kernels add in different orders, and processors have different kernels. So neither the
 * peer's float32 result nor ours is the measure, but what the peer makes of the same numbers in float64, where rounding is
 * too small to matter. Ours has to be as near to that as the peer's own float32 result is, times `peerFactor`, and what float64
 * changes by where every ReLU and max-pool is turned that float32 cannot tell (see test/python/gates.py), and a tolerance.
 */
export interface Judged extends Values {
  /** Absent where `data` is float64 itself. */
  readonly judge?: Judge
}

export interface Judge {
  readonly exact: Values
  readonly otherSide: Values
}

/**
 * Both errors are sums of many roundings of the same size, in two orders: of a map, whose error is over many elements, they
 * are within a factor of two or so. Of a single number they need not be, which is the larger part of this factor.
 */
export const peerFactor = 4

/** Beyond it a comparison would say too little: the test has to pick inputs that fewer gates are undecided on. */
const mostAllowed = 0.02

/** That a comparison would say too little. */
export class UndecidedError extends Error {}

/** How far apart two lists of one length are, as one number. */
export type Distance = (some: ArrayLike<number | bigint>, others: ArrayLike<number | bigint>) => number

export interface Verdict {
  readonly error: number
  readonly allowed: number
}

/** `actual` measured from the right result, and how far it may be from it; `scale` is what `tolerance` is relative to. */
export function verdictOf(
  actual: ArrayLike<number | bigint>,
  expected: Judged,
  tolerance: number,
  distance: Distance,
  scale: (values: ArrayLike<number | bigint>) => number,
): Verdict {
  const { judge } = expected
  const right = (judge?.exact ?? expected).data
  const size = scale(right) || 1
  const error = distance(actual, right) / size
  if (!judge) return { error, allowed: tolerance }
  const single = distance(expected.data, right) / size
  const turned = distance(judge.otherSide.data, right) / size
  const allowed = tolerance + peerFactor * single + turned
  if (!(allowed <= Math.max(mostAllowed, tolerance)))
    throw new UndecidedError(
      `float32 is off by ${single.toExponential(1)} in the peer, by ${turned.toExponential(1)} with other gates: ` +
        'another input, class or layer has to be compared',
    )
  return { error: Number.isFinite(error) ? error : NaN, allowed }
}
