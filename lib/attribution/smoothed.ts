import { inParts } from '../base/in-parts.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { disposeValue } from '../tensor/values.js'
import type { Attributed, Copied, Passes } from './many-passes.js'
import { noisyCopy, type Smoothing } from './smoothing.js'

/** The attributions of noisy copies of x, made one: see {@link Smoothing}. */
export async function smoothed(
  x: Tensor,
  passes: Passes,
  { kind, samples, sigma, seed }: Required<Smoothing>,
  attribute: (copied: Copied) => Promise<Attributed>,
): Promise<Attributed> {
  const images = x.shape[0] ?? 1
  const dtype = x.dtype === 'float64' ? 'float64' : 'float32'
  // The variance is what is left of two sums that are nearly the same: in float64, and of distances from the first copy.
  const summed = kind === 'variance' ? 'float64' : dtype
  let origin: Tensor | undefined
  let sums: [Tensor, Tensor] | undefined
  let intercepted = 0
  try {
    await inParts(samples, passes.most, async (from, to) => {
      const noisy: Tensor[] = []
      try {
        for (let sample = from; sample < to; sample++)
          noisy.push(await noisyCopy(x, dtype, sigma, seed + sample, passes.signal))
        using copies = Tensor.cat(noisy)
        const found = await attribute({ x: copies, copies: to - from, first: from })
        using attribution = found.attribution
        intercepted = found.intercepted
        if (kind === 'variance') origin ??= tidy(() => attribution.narrow(0, 0, images).to({ dtype: summed }).clone())
        const before = sums
        const add = (of: (values: Tensor) => Tensor, previous: Tensor | undefined) =>
          tidy(() => {
            const parts = attribution.split(images).map((part) => {
              const values = part.to({ dtype: summed })
              return of(origin ? values.sub(origin) : values)
            })
            return (previous ? [previous, ...parts] : parts).reduce((total, term) => total.add(term)).clone()
          })
        sums = [add((values) => values, before?.[0]), add((values) => values.square(), before?.[1])]
        disposeValue(before ?? null)
      } finally {
        for (const copy of noisy) copy.dispose()
      }
    })
    const [sum, squares] = sums as [Tensor, Tensor]
    const attribution = tidy(() => {
      const mean = sum.div(samples)
      if (kind === 'mean') return mean
      const squared = squares.div(samples)
      return kind === 'squared' ? squared : squared.sub(mean.square()).clamp(0, null).to({ dtype })
    })
    return { attribution, intercepted }
  } finally {
    disposeValue(sums ?? null)
    origin?.dispose()
  }
}
