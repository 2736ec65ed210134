import { checkExpands } from '../perturbation/perturbation.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'

/** A straight line to the input. */
export interface Path extends Disposable {
  readonly start: Tensor
  readonly way: Tensor
}

/**
 * The path from the baseline to the input: the baseline in the shape of the input, and the input minus it. For the caller to
 * dispose.
 *
 * @param x `copies` copies of a batch one after the other
 * @param baseline for all elements, or a tensor that can be expanded to the batch
 */
export function fromBaseline(baseline: number | Tensor, x: Tensor, copies: number): Path {
  const start = tidy(() => {
    // Zeros with the memory layout of the input: layouts decide which operators a model runs, and how they round.
    const values = x.detach()
    const zeros = values.lt(values).to({ dtype: x.dtype })
    if (!(baseline instanceof Tensor)) return zeros.add(baseline)
    const given = baseline.detach().to({ device: x.device, dtype: x.dtype })
    const perImage = given.shape.length === x.shape.length && (given.shape[0] as number) > 1
    const repeated = perImage && copies > 1 ? Tensor.cat(Array.from({ length: copies }, () => given)) : given
    return zeros.add(repeated)
  })
  try {
    const way = tidy(() => x.detach().sub(start))
    const dispose = () => {
      start.dispose()
      way.dispose()
    }
    return { start, way, [Symbol.dispose]: dispose }
  } catch (error) {
    start.dispose()
    throw error
  }
}

/** How far attributions are from adding up to what the score gained, by image, or for the batch where it has one score. */
export function convergenceDelta(
  attribution: Tensor,
  scores: readonly number[],
  atBaseline: readonly number[],
): readonly number[] {
  using sums = tidy(() => attribution.to({ dtype: 'float64' }).flatten(1).sum(1))
  const perImage = Array.from(sums.toTypedArray() as Float64Array)
  const added = scores.length === perImage.length ? perImage : [perImage.reduce((a, b) => a + b, 0)]
  return added.map((value, i) => value - (scores[i] as number) + (atBaseline[i] as number))
}

/**
 * The baselines that a method takes one at a time, [B, ...], in the dtype and on the device of x, for the caller to dispose:
 * the rows of a tensor of as many dimensions as x, or one.
 */
export function references(baseline: number | Tensor, x: Tensor): Tensor {
  const { dtype, device } = x
  if (!(baseline instanceof Tensor))
    return Tensor.full(
      x.shape.map(() => 1),
      baseline,
      { dtype, device },
    )
  checkExpands(
    baseline,
    [baseline.shape.length === x.shape.length ? (baseline.shape[0] as number) : 1, ...x.shape.slice(1)],
    'baseline',
  )
  const missing = x.shape.slice(0, x.shape.length - baseline.shape.length).map(() => 1)
  return tidy(() =>
    baseline
      .detach()
      .to({ dtype, device })
      .reshape([...missing, ...baseline.shape])
      .clone(),
  )
}
