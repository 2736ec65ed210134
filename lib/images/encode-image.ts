import { callOperatorAsync } from '../tensor/dispatch.js'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import type { NodeBuffer } from '../base/platform-types.js'
import { functions, operators } from '../tensor/operators.js'
import { checkTensor, type Tensor } from '../tensor/tensor.js'
import { loadSharp } from './sharp.js'

/** The kinds of image files that can be written. */
export const imageFormats = ['png', 'jpeg', 'webp', 'avif', 'tiff', 'gif'] as const

/** The formats that images are written in. */
export type ImageFormat = (typeof imageFormats)[number]

/** How an image is encoded. */
export interface EncodeOptions {
  /** From 1 to 100, for the formats that lose detail: jpeg, webp and avif. 90 by default. */
  quality?: number
}

/**
 * An image or map as the bytes of an image file. Values are clamped to [0, 1] and rounded to 8 bits as torchvision's
 * `save_image` does, `floor(255 x + 0.5)`; NaN becomes 0. A single channel is written as grey.
 *
 * @param tensor [1, C, H, W], [C, H, W] or [H, W] in [0, 1], C is 1 or 3, floating point, on any device
 * @param format 'png' by default, which loses nothing
 * @throws GradCamError ERR_SHAPE, ERR_DTYPE, ERR_INVALID_ARGUMENT, ERR_IMAGE_WRITE when the format cannot hold it
 */
export async function encodeImage(
  tensor: Tensor,
  format: ImageFormat = 'png',
  options: EncodeOptions = {},
): Promise<NodeBuffer> {
  const { quality = 90 } = expect.options(options)
  expect.oneOf('format', format, imageFormats)
  expect.integer('quality', quality, { min: 1, max: 100 })
  const raw = shapeOf(checkTensor('tensor', tensor))
  const bytes = await toBytes(tensor, raw)
  const sharp = await loadSharp()
  const image = sharp(bytes, { raw, limitInputPixels: false })
  if (raw.channels === 1) image.toColourspace('b-w') // otherwise sharp would write grey as RGB
  // The options of the other formats would be refused, so each gets its own; 4:4:4 keeps the edges of colours sharp.
  const lossy = { quality, chromaSubsampling: '4:4:4' }
  if (format === 'jpeg') image.jpeg(lossy)
  else if (format === 'avif') image.avif(lossy)
  else if (format === 'webp') image.webp({ quality })
  else if (format === 'tiff') image.tiff({ compression: 'deflate' })
  else image.toFormat(format)
  try {
    return await image.toBuffer()
  } catch (cause) {
    throw new GradCamError(
      'ERR_IMAGE_WRITE',
      `The image of ${raw.width} x ${raw.height} pixels cannot be written as ${format} (${(cause as Error).message}).`,
      { ...(format !== 'png' && { remedy: 'Try png.' }), details: { format }, cause },
    )
  }
}

interface RawShape {
  height: number
  width: number
  channels: 1 | 3
}

function shapeOf({ shape, dtype }: Tensor): RawShape {
  if (!['float32', 'float64', 'float16', 'bfloat16'].includes(dtype))
    throw new GradCamError(
      'ERR_DTYPE',
      `\`tensor\` must have floating-point values in [0, 1], but its dtype is ${dtype}.`,
      { remedy: "For values up to 255: tensor.to({ dtype: 'float32' }).div(255).", details: { dtype } },
    )
  const [images, channels, height, width] = [
    ...Array<number>(Math.max(0, 4 - shape.length)).fill(1),
    ...shape,
  ] as number[]
  if (shape.length === 4 && images !== 1)
    throw new GradCamError(
      'ERR_SHAPE',
      `A file holds one image, but this is a batch of ${images}: [${shape.join(', ')}].`,
      { remedy: 'Write each by itself: batch.select(0, i).', details: { shape } },
    )
  if (shape.length < 2 || shape.length > 4 || (channels !== 1 && channels !== 3) || !height || !width)
    throw new GradCamError(
      'ERR_SHAPE',
      `\`tensor\` must be [1, C, H, W], [C, H, W] or [H, W] with C = 1 or 3, but is [${shape.join(', ')}].`,
      { details: { shape } },
    )
  return { height, width, channels }
}

/** Height by width by channels, computed on the tensor's device, on an executor thread. */
async function toBytes(tensor: Tensor, { height, width, channels }: RawShape): Promise<Uint8Array> {
  using values = tensor.detach()
  using flat = values.reshape([channels, height, width])
  using wide = await callOperatorAsync(functions.to, [flat, flat.device, 'float32'])
  using missing = await callOperatorAsync(operators.isnan, [wide])
  using known = await callOperatorAsync(operators.maskedFill, [wide, missing, 0])
  using scaled = await callOperatorAsync(operators.mul, [known, 255])
  using shifted = await callOperatorAsync(operators.add, [scaled, 0.5])
  using clamped = await callOperatorAsync(operators.clamp, [shifted, 0, 255])
  using rounded = await callOperatorAsync(functions.to, [clamped, 'cpu', 'uint8'])
  using lastChannels = rounded.permute([1, 2, 0])
  using packed = await callOperatorAsync(operators.contiguous, [lastChannels])
  return packed.toTypedArray() as Uint8Array
}
