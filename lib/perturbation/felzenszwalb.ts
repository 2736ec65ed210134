import { cancellable, type CallOptions } from '../addon/abort.js'
import { native } from '../addon/native.js'
import { expect } from '../base/check.js'
import { Tensor } from '../tensor/tensor.js'
import { checkDivisible } from './superpixels.js'

/** How {@link felzenszwalb} divides an image. */
export interface FelzenszwalbOptions extends CallOptions {
  /** How much the colours of a segment may differ: k of the paper, for values from 0 to 255. More makes larger segments; 150 by default. */
  readonly scale?: number
  /** The deviation of the Gaussian that the image is smoothed by first, in pixels; 0.8 by default. */
  readonly sigma?: number
  /** Segments of fewer pixels go to the neighbour that differs least; 20 by default. */
  readonly minSize?: number
}

/** As many take seconds and half a gigabyte: an edge for each of eight neighbours. */
const mostPixels = 2 ** 22

/** A Gaussian wider than this leaves one colour, and takes time with its width. */
const mostSigma = 100

/**
 * Divides images into segments along their borders: a graph of pixels, of which those are joined that differ no more than what is
 * joined already. Unlike {@link superpixels}, segments are as large as what they show. Felzenszwalb and Huttenlocher 2004,
 * doi:10.1023/B:VISI.0000022288.19776.77, with eight neighbours and the distance of colours; as scikit-image's felzenszwalb, but for
 * neighbours that differ by exactly the same, whose order is not defined.
 *
 * @param images [N, C, H, W] of floating-point numbers, normalised or not: each is scaled to [0, 1] first
 * @returns [N, 1, H, W] int64, the segments of each image numbered from 0 on, for the caller to dispose
 * @throws GradCamError ERR_SHAPE, ERR_DTYPE, ERR_INVALID_ARGUMENT; ERR_ABORTED by its signal
 */
export async function felzenszwalb(images: Tensor, options: FelzenszwalbOptions = {}): Promise<Tensor> {
  const { scale = 150, sigma = 0.8, minSize = 20, signal } = expect.options(options)
  checkDivisible(images, mostPixels)
  expect.signal(signal)
  expect.number('scale', scale, { min: 0 })
  expect.number('sigma', sigma, { min: 0, max: mostSigma })
  expect.count('minSize', minSize)
  return await felzenszwalbAtScales(images, [scale], { sigma, minSize, signal })
}

/**
 * @internal The same at several scales, in little more time than at one.
 *
 * @returns [N, scales, H, W] int64, for the caller to dispose
 */
export async function felzenszwalbAtScales(
  images: Tensor,
  scales: readonly number[],
  { sigma, minSize, signal }: { readonly sigma: number; readonly minSize: number } & CallOptions,
): Promise<Tensor> {
  const found = await cancellable(
    signal,
    (ticket) => native().felzenszwalb(images.handle, Float64Array.from(scales), sigma, minSize, ticket),
    (late) => late.dispose(),
  )
  return Tensor.own(found)
}
