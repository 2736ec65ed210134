import { callOperatorAsync } from '../tensor/dispatch.js'
import { invalid } from '../base/check.js'
import { functions } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import { on } from './executor.js'

/**
 * The value of a removed pixel: 'zeros', which is the mean colour of standardised images; 'blurred', the
 * image under a Gaussian of standard deviation 5 cut off to 11 x 11 pixels, its border continued outwards; or a number.
 */
export type MetricBaseline = 'zeros' | 'blurred' | number

export function checkBaseline(baseline: unknown): MetricBaseline {
  if (baseline === 'zeros' || baseline === 'blurred') return baseline
  if (typeof baseline === 'number' && Number.isFinite(baseline)) return baseline
  throw invalid('baseline', "'zeros', 'blurred' or a finite number", baseline)
}

const reach = 5
const deviation = 5

/** [N, C, H, W], for the caller to dispose. */
export async function baselineOf(
  input: Tensor,
  baseline: MetricBaseline,
  signal: AbortSignal | undefined,
): Promise<Tensor> {
  if (baseline !== 'blurred') {
    using nothing = await on(signal).mul(input, 0)
    return await on(signal).add(nothing, baseline === 'zeros' ? 0 : baseline)
  }
  const [, channels = 1] = input.shape
  const bell = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-0.5 * ((i - reach) / deviation) ** 2))
  const total = bell.reduce((sum, value) => sum + value, 0)
  const weights = Float64Array.from(
    { length: channels * bell.length },
    (_, i) => (bell[i % bell.length] as number) / total,
  )
  using padded = await on(signal).pad(input, [reach, reach, reach, reach], 'replicate')
  const blur = async (images: Tensor, kernel: readonly [number, number]) => {
    using exact = Tensor.from(weights, [channels, 1, ...kernel])
    using kernels = exact.to({ dtype: input.dtype, device: input.device })
    const options = { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: channels }
    return await callOperatorAsync(functions.conv2d, [images, kernels, null, options], { signal })
  }
  using rows = await blur(padded, [1, bell.length])
  return await blur(rows, [bell.length, 1])
}
