import { inspect } from 'node:util'
import { GradCamError } from '../base/errors.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { interpolateAsync } from '../tensor/interpolate.js'
import { functions } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import { on } from './executor.js'

/** Refuses anything but images and maps of as many. */
export function checkPair(input: unknown, maps: unknown): void {
  const shape = (value: unknown): readonly number[] | undefined => (value instanceof Tensor ? value.shape : undefined)
  const [images, drawn] = [shape(input), shape(maps)]
  if (images?.length !== 4 || images.some((size) => size === 0))
    throw new GradCamError('ERR_SHAPE', `A metric wants images, a Tensor [N, C, H, W], but was given ${say(input)}.`)
  if (drawn?.length !== 4 || drawn.some((size) => size === 0))
    throw new GradCamError('ERR_SHAPE', `A metric wants maps, a Tensor [N, 1, h, w], but was given ${say(maps)}.`)
  if (drawn[0] !== images[0])
    throw new GradCamError('ERR_SHAPE', `${drawn[0]} maps were given for ${images[0]} images: give one for each.`)
}

const say = (value: unknown): string =>
  value instanceof Tensor ? `[${value.shape.join(', ')}]` : inspect(value, { depth: 0 })

/** Refuses maps that hold NaN or infinities. */
export async function checkFinite(maps: Tensor, signal: AbortSignal | undefined): Promise<void> {
  using finite = await on(signal).isfinite(maps)
  using all = await on(signal).all(finite)
  if (all.item() === 0)
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      'The maps hold NaN or infinities, which have no place in an order. Look at nonFinite of the explanation.',
    )
}

/**
 * Maps in the size of the images, on their device, in float32 or float64, for the caller to dispose.
 *
 * @param channels that a map may have
 */
export async function enlarged(
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
      `A map has ${channels.join(' or ')} channel(s) here, but these have ${depth}: take the sum or mean over channels.`,
    )
  await checkFinite(maps, signal)
  const dtype = maps.dtype === 'float64' ? 'float64' : 'float32'
  const wide = await on(signal).to(maps, input.device, dtype)
  if (h === height && w === width) return wide
  using small = wide
  return await interpolateAsync(small, [height, width], { signal })
}

/**
 * The place of each pixel in the order of its map, int64 [N, 1, H, W]: 0 is the most relevant one, and of equal ones the
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
