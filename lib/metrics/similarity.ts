import { checkTensor, checkTensorShape, type Tensor } from '../tensor/tensor.js'
import { on } from './executor.js'

/**
 * Spearman's rank correlation of each map of one batch with that of another of the same shape: Pearson's of the ranks,
 * where equal values share the mean of their ranks. In [-1, 1]; 0 where one of the two is constant, since it is undefined
 * then, and 1 where both are.
 *
 * @param a [N, ...], without NaN
 * @param b of the same shape
 * @returns one number for each of the N maps
 * @throws GradCamError ERR_SHAPE, ERR_INVALID_ARGUMENT
 */
export async function rankCorrelation(a: Tensor, b: Tensor, signal?: AbortSignal): Promise<number[]> {
  const { shape } = checkTensorShape('a', a, '[N, ...]', (sizes) => sizes.length > 0)
  const expected = `of the same shape as \`a\`, [${shape.join(', ')}]`
  checkTensorShape('b', checkTensor('b', b), expected, (sizes) => sizes.join() === shape.join())
  using x = await centredRanks(a, signal)
  using y = await centredRanks(b, signal)
  return (await products(x, y, signal)).map(({ xy, xx, yy }) => {
    if (xx === 0 || yy === 0) return xx === yy ? 1 : 0
    return xy / Math.sqrt(xx * yy)
  })
}

/**
 * Pearson's correlation of each row of one batch with that of another of the same shape, [N, ...], in [-1, 1]; null where one of
 * the two is constant, since it is undefined then.
 */
export async function correlation(a: Tensor, b: Tensor, signal: AbortSignal | undefined): Promise<(number | null)[]> {
  using x = await centred(a, signal)
  using y = await centred(b, signal)
  return (await products(x, y, signal)).map(({ xy, xx, yy }) => (xx === 0 || yy === 0 ? null : xy / Math.sqrt(xx * yy)))
}

/** The scalar products of each row of [N, P], float64, with that of another, and with itself. */
async function products(x: Tensor, y: Tensor, signal: AbortSignal | undefined) {
  const dot = async (p: Tensor, q: Tensor) => {
    using product = await on(signal).mul(p, q)
    using sums = await on(signal).sum(product, [1])
    return sums.toTypedArray() as Float64Array
  }
  const [all, xx, yy] = [await dot(x, y), await dot(x, x), await dot(y, y)]
  return Array.from(all, (xy, i) => ({ xy, xx: xx[i] as number, yy: yy[i] as number }))
}

/** [N, P], float64, less the mean of each row: exactly 0 where a row is constant, since its first element goes first. */
async function centred(values: Tensor, signal: AbortSignal | undefined): Promise<Tensor> {
  using flat = await on(signal).flatten(values, 1)
  using exact = await on(signal).to(flat, flat.device, 'float64')
  using first = await on(signal).narrow(exact, 1, 0, 1)
  using shifted = await on(signal).sub(exact, first)
  using middle = await on(signal).mean(shifted, [1], true)
  return await on(signal).sub(shifted, middle)
}

/** [N, P], float64: the rank of each value among the sorted ones, minus the middle rank. */
async function centredRanks(maps: Tensor, signal: AbortSignal | undefined): Promise<Tensor> {
  using flat = await on(signal).flatten(maps, 1)
  using rows = await on(signal).contiguous(flat)
  const [sorted, order] = (await on(signal).sort(rows, 1, false)) as unknown as [Tensor, Tensor]
  order.dispose()
  using ascending = sorted
  // How many are less, and how many are not greater: the mean rank of equal ones lies in the middle of the two.
  using before = await on(signal).searchsorted(ascending, rows, { right: false })
  using upTo = await on(signal).searchsorted(ascending, rows, { right: true })
  using both = await on(signal).add(before, upTo)
  using exact = await on(signal).to(both, both.device, 'float64')
  return await on(signal).sub(exact, rows.shape[1])
}
