import type { CallOptions } from '../addon/abort.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { functions } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import { disposeValue } from '../tensor/values.js'

/**
 * The shortest vector u that minimises ||A u - b||, by LAPACK's gelsd; NaN where a number of b is not finite, which LAPACK refuses
 * or not, as the build and the sizes are.
 *
 * @param rows of A, all of one length
 */
export async function leastSquares(
  rows: readonly Float64Array[],
  b: Float64Array,
  options: CallOptions,
): Promise<Float64Array> {
  const columns = rows[0]?.length ?? 0
  if (!b.every(Number.isFinite)) return new Float64Array(columns).fill(NaN)
  const flat = new Float64Array(rows.length * columns)
  for (const [i, row] of rows.entries()) flat.set(row, i * columns)
  using matrix = Tensor.from(flat, [rows.length, columns])
  using right = Tensor.from(b, [rows.length, 1])
  const found = await callOperatorAsync<Tensor[]>(
    functions.leastSquares,
    [matrix, right, null, { driver: 'gelsd' }],
    options,
  )
  try {
    return (found[0] as Tensor).toTypedArray() as Float64Array
  } finally {
    disposeValue(found)
  }
}
