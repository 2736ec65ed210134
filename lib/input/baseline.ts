import { Tensor, tidy } from '../tensor.js'

/**
 * The input less the baseline, for the caller to dispose.
 *
 * @param x `copies` copies of a batch one behind the other
 * @param baseline for all elements, or a tensor that can be expanded to the batch
 */
export function wayFrom(baseline: number | Tensor, x: Tensor, copies: number): Tensor {
  if (!(baseline instanceof Tensor)) return tidy(() => x.detach().sub(baseline))
  return tidy(() => {
    const start = baseline.detach().to({ device: x.device, dtype: x.dtype })
    const perImage = start.shape.length === x.shape.length && (start.shape[0] as number) > 1
    return x.detach().sub(perImage && copies > 1 ? Tensor.cat(Array.from({ length: copies }, () => start)) : start)
  })
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
