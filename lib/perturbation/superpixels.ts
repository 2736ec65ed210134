import { cancellable, type CallOptions } from '../addon/abort.js'
import { native } from '../addon/native.js'
import { expect, invalid } from '../base/check.js'
import { checkTensorShape, Tensor } from '../tensor/tensor.js'

/** How {@link superpixels} divides an image. */
export interface SuperpixelOptions extends CallOptions {
  /** About how many; 50 by default. */
  readonly segments?: number
  /** How compact they are: how much position weighs beside colour. 10 by default, as scikit-image. */
  readonly compactness?: number
  /** How often the clusters are moved at most, up to 1000; 10 by default. */
  readonly iterations?: number
}

/** More change nothing that an eye could see. */
const mostIterations = 1000

/** One iteration over more pixels takes seconds, in which a signal is not seen. */
const mostPixels = 2 ** 23

/** Refuses what is not images of floating-point numbers, of so many pixels at most. */
export function checkDivisible(images: Tensor, most: number): void {
  checkTensorShape('images', images, '[N, C, H, W]', (shape) => shape.length === 4 && shape.every((size) => size > 0))
  if (!/float/.test(images.dtype))
    throw invalid('images', 'a Tensor of floating-point numbers', images.dtype, { code: 'ERR_DTYPE' })
  const [, , height, width] = images.shape as [number, number, number, number]
  if (height * width > most) throw invalid('images', `images of at most ${most} pixels`, images.shape)
}

/**
 * Divides images into superpixels, as features for feature ablation, LIME, KernelSHAP and Shapley value sampling: parts that are
 * connected and of one colour. SLIC, Achanta et al. 2012, doi:10.1109/TPAMI.2012.120, in CIELAB for images of three channels.
 *
 * @param images [N, C, H, W] of floating-point numbers, normalised or not: each is scaled to [0, 1] first
 * @returns [N, 1, H, W] int64, the superpixels of each image numbered from 0 on, for the caller to dispose
 * @throws GradCamError ERR_SHAPE, ERR_DTYPE, ERR_INVALID_ARGUMENT; ERR_ABORTED by its signal
 */
export async function superpixels(images: Tensor, options: SuperpixelOptions = {}): Promise<Tensor> {
  checkDivisible(images, mostPixels)
  const { segments = 50, compactness = 10, iterations = 10, signal } = expect.options(options)
  expect.signal(signal)
  expect.count('segments', segments)
  expect.number('compactness', compactness, { above: 0 })
  expect.integer('iterations', iterations, { min: 1, max: mostIterations })
  const found = await cancellable(
    signal,
    (ticket) => native().superpixels(images.handle, segments, compactness, iterations, ticket),
    (late) => late.dispose(),
  )
  return Tensor.own(found)
}
