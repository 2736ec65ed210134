import { callOperatorAsync } from '../tensor/dispatch.js'
import { operators } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import type { CallOptions } from '../addon/abort.js'

/** The matrix [size, size] that blurs a line of that size: a Gaussian of deviation sigma, cut off after 4 of them; zeros beyond the ends. */
function blurMatrix(size: number, sigma: number): Float64Array {
  const matrix = new Float64Array(size * size)
  const radius = sigma > 0 ? Math.floor(4 * sigma + 0.5) : 0
  const weights = Array.from({ length: radius + 1 }, (_, d) => (d === 0 ? 1 : Math.exp(-0.5 * (d / sigma) ** 2)))
  const whole = weights.reduce((sum, weight, d) => sum + (d === 0 ? weight : 2 * weight), 0)
  for (let row = 0; row < size; row++)
    for (let column = Math.max(0, row - radius); column <= Math.min(size - 1, row + radius); column++)
      matrix[row * size + column] = (weights[Math.abs(row - column)] as number) / whole
  return matrix
}

/** x [N, C, H, W] in float64, blurred over H and W; for the caller to dispose. */
export async function gaussianBlur(x: Tensor, sigma: number, options: CallOptions): Promise<Tensor> {
  const [, , height = 0, width = 0] = x.shape
  const { device } = x
  using rows = Tensor.from(blurMatrix(height, sigma), [height, height], { device })
  using columns = Tensor.from(blurMatrix(width, sigma), [width, width], { device })
  using down = await callOperatorAsync(operators.matmul, [rows, x], options)
  return await callOperatorAsync(operators.matmul, [down, columns], options) // it equals its transpose
}
