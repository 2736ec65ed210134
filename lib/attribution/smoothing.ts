import { cancellable } from '../addon/abort.js'
import { native } from '../addon/native.js'
import { expect } from '../base/check.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'

/**
 * The attribution of noisy copies of the input instead of the input's own: "SmoothGrad: removing noise by adding noise",
 * Smilkov et al. 2017, arXiv:1706.03825. The defaults are Captum's.
 */
export interface Smoothing {
  /**
   * Of the copies' attributions: 'mean' (the default), 'squared', the mean of their squares (SmoothGrad-squared, Hooker et
   * al. 2019, arXiv:1806.10758), or 'variance', which is that less the square of their mean (VarGrad, Adebayo et al. 2018,
   * arXiv:1810.03292).
   */
  readonly kind?: 'mean' | 'squared' | 'variance'
  /** How many copies; 5 by default. */
  readonly samples?: number
  /** The standard deviation of the noise in the units of the input, 1 by default. */
  readonly sigma?: number
  /**
   * Copy s has sigma times `torch.randn` of seed + s, the same noise for all images: an integer from 0 on, 0 by default. The result for an
   * image depends neither on `batchSize` nor on the other images of its batch.
   */
  readonly seed?: number
}

export function checkSmoothing(smoothing: Smoothing): Required<Smoothing> {
  const { kind = 'mean', samples = 5, sigma = 1, seed = 0 } = expect.options(smoothing, 'smooth')
  return {
    kind: expect.oneOf('smooth.kind', kind, ['mean', 'squared', 'variance']),
    samples: expect.count('smooth.samples', samples),
    sigma: expect.number('smooth.sigma', sigma, { min: 0 }),
    seed: expect.seed('smooth.seed', seed),
  }
}

/** x with normal noise of a seed, the same for all images, drawn in `dtype` on an executor thread; for the caller to dispose. */
export async function noisyCopy(
  x: Tensor,
  dtype: 'float32' | 'float64',
  sigma: number,
  seed: number,
  signal: AbortSignal | undefined,
): Promise<Tensor> {
  const handle = await cancellable(
    signal,
    (ticket) => native().randomNormal([1, ...x.shape.slice(1)], dtype, seed, ticket),
    (late) => late.dispose(),
  )
  using noise = Tensor.own(handle)
  return tidy(() => x.detach().add(noise.mul(sigma).to({ device: x.device, dtype: x.dtype })))
}
