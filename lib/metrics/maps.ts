import { invalid } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { interpolateAsync } from '../tensor/interpolate.js'
import { functions } from '../tensor/operators.js'
import { checkTensorShape, Tensor } from '../tensor/tensor.js'
import { on } from './executor.js'

/** Refuses anything but images and maps of as many. */
export function checkPair(input: unknown, maps: unknown): void {
  for (const [name, value] of Object.entries({ input, maps }))
    if (!(value instanceof Tensor)) throw invalid(name, 'a Tensor', value, { code: 'ERR_SHAPE' })
  const fits = (shape: readonly number[]) => shape.length === 4 && !shape.includes(0)
  const [images] = checkTensorShape('input', input, '[N, C, H, W] with at least one pixel', fits).shape
  const [count] = checkTensorShape('maps', maps, '[N, 1, h, w] with at least one pixel', fits).shape
  if (count !== images)
    throw new GradCamError('ERR_SHAPE', `${count} maps were given for ${images} images.`, {
      remedy: 'Give one map for each image.',
    })
}

/** Refuses maps that hold NaN or infinities. */
export async function checkFinite(maps: Tensor, signal: AbortSignal | undefined): Promise<void> {
  using finite = await on(signal).isfinite(maps)
  using all = await on(signal).all(finite)
  if (all.item() === 0)
    throw new GradCamError('ERR_INVALID_ARGUMENT', 'The maps hold NaN or infinities, which cannot be ordered.', {
      remedy: 'Check `nonFinite` of the explanation.',
    })
}

/**
 * Maps in the size of the images, on their device, in float32 or float64, for the caller to dispose.
 *
 * @param channels that a map may have
 */
export async function upsampled(
  maps: Tensor,
  input: Tensor,
  signal: AbortSignal | undefined,
  channels: readonly number[] = [1],
): Promise<Tensor> {
  const [, depth = 0, h, w] = maps.shape
  const [, , height = 0, width = 0] = input.shape
  if (!channels.includes(depth))
    throw new GradCamError(
      'ERR_SHAPE',
      `A map must have ${channels.join(' or ')} channel(s) here, but these have ${depth}.`,
      { remedy: 'Take the sum or mean over channels.' },
    )
  await checkFinite(maps, signal)
  const dtype = maps.dtype === 'float64' ? 'float64' : 'float32'
  const wide = await on(signal).to(maps, input.device, dtype)
  if (h === height && w === width) return wide
  using small = wide
  using large = await interpolateAsync(small, [height, width], { signal })
  // A mean of values of the map is within its range but for rounding, of which a constant map would be made up.
  using low = await on(signal).amin(small, [1, 2, 3], true)
  using high = await on(signal).amax(small, [1, 2, 3], true)
  using raised = await on(signal).maximum(large, low)
  return await on(signal).minimum(raised, high)
}

/** The absolute values of maps in the size of the images, or of attributions, [N, P] in float64, for the caller to dispose. */
export async function magnitudes(maps: Tensor, input: Tensor, signal: AbortSignal | undefined): Promise<Tensor> {
  const [, channels = 1] = input.shape
  using large = await upsampled(maps, input, signal, [1, channels])
  using flat = await on(signal).flatten(large, 1)
  using exact = await on(signal).to(flat, flat.device, 'float64')
  return await on(signal).abs(exact)
}

/** Whether each map has two different values: a constant one has no highest pixel, and no order. */
export async function areVaried(maps: Tensor, signal: AbortSignal | undefined): Promise<boolean[]> {
  using high = await on(signal).amax(maps, [1, 2, 3])
  using low = await on(signal).amin(maps, [1, 2, 3])
  using varied = await on(signal).gt(high, low)
  return Array.from(varied.toTypedArray() as Uint8Array, (value) => value !== 0)
}

/**
 * The position of each pixel in the order of its map, int64 [N, 1, H, W]: 0 is the most relevant one, and of equal ones the
 * first in row-major order comes first.
 *
 * @param descending false makes 0 the least relevant one
 */
export async function ranksOf(maps: Tensor, signal: AbortSignal | undefined, descending = true): Promise<Tensor> {
  using flat = await on(signal).flatten(maps, 1)
  using order = await orderOf(flat, descending, signal)
  using ranks = await orderOf(order, false, signal)
  return await on(signal).reshape(ranks, maps.shape)
}

async function orderOf(rows: Tensor, descending: boolean, signal: AbortSignal | undefined): Promise<Tensor> {
  const [values, indices] = await callOperatorAsync<[Tensor, Tensor]>(
    functions.sortStable,
    [rows, { stable: true, dim: 1, descending }],
    { signal },
  )
  values.dispose()
  return indices
}
