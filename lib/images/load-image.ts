import type { CallOptions } from '../addon/abort.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { expect } from '../base/check.js'
import { interpolateAsync } from '../tensor/interpolate.js'
import { functions, operators } from '../tensor/operators.js'
import type { Tensor } from '../tensor/tensor.js'
import { decode } from './decode.js'
import { checkNormalization, perChannel, type Normalization } from './normalization.js'
import { pixelsToTensor } from './pixels-to-tensor.js'
import { readSource, sourceName, type ImageSource } from './read-source.js'
import { resizeBicubic } from './resize-bicubic.js'

export interface LoadImageOptions extends CallOptions {
  /** [height, width] to resize to, whatever the image's proportions. By default it keeps its own size. */
  size?: readonly [number, number]
  /**
   * The filter for resizing, antialiased. 'bilinear' by default, as in `torchvision.transforms.Resize`; where Python says
   * Pillow's `image.resize(size)` with no filter named, that is 'bicubic'.
   */
  resample?: 'bilinear' | 'bicubic'
  /** Subtract this mean and divide by this standard deviation, e.g. `imagenet`. Not done by default. */
  normalize?: Normalization | false
  /** The device of the tensor, e.g. `model.device`. 'cpu' by default. */
  device?: string
  /**
   * The grey, from 0 for black to 1 for white, that shows through transparent pixels. By default transparency is
   * dropped and the colour stored beneath it used, as Pillow's `convert('RGB')` does.
   */
  background?: number
  /** Images with more pixels than this are refused. {@link defaultMaxPixels} by default. */
  maxPixels?: number
}

/** The limit above which Pillow, too, regards an image as a decompression bomb. */
export const defaultMaxPixels = 178_956_970

/**
 * Reads an image as input for a model: JPEG, PNG, WebP, AVIF, GIF, TIFF or SVG, decoded by sharp.
 *
 * The image is turned upright by its EXIF orientation; grey, palette and CMYK become RGB, 16 bits per channel 8; of an
 * animation the first frame is taken. Embedded colour profiles are ignored, as in Pillow and torchvision, but for CMYK.
 * Resizing is Pillow's, so that a model sees what it sees in Python: the same bytes for bicubic, and for bilinear bytes at
 * most 1 of 255 away.
 *
 * @param source a path, a `file:` URL, or the bytes of the file
 * @returns [1, 3, H, W] float32, in [0, 1] unless `normalize` is given
 * @throws GradCamError ERR_IMAGE_NOT_FOUND, ERR_IMAGE_UNREADABLE, ERR_IMAGE_CORRUPT, ERR_IMAGE_TOO_LARGE, ERR_SHAPE,
 *   ERR_INVALID_ARGUMENT
 */
export async function loadImage(source: ImageSource, options: LoadImageOptions = {}): Promise<Tensor> {
  const { size, resample, normalize, device, signal, ...reading } = check(options)
  using image = await read(source, { ...reading, signal })
  using sized = size ? await resize(image, size, resample, { signal }) : image
  using packed = await callOperatorAsync(operators.contiguous, [sized], { signal })
  using placed = await callOperatorAsync(functions.to, [packed, device, 'uint8'], { signal })
  // Dividing bytes makes float32 at once, with no float copy in between whose memory this thread would have to return.
  const scaled = await callOperatorAsync(operators.div, [placed, 255], { signal })
  return normalize ? await standardizeAsync(scaled, normalize, { signal }) : scaled
}

/** Uint8 [1, 3, H, W]. The file's bytes and sharp's pixels can be collected as soon as this is done. */
async function read(
  source: ImageSource,
  { signal, ...limits }: Pick<Checked, 'maxPixels' | 'background' | 'signal'>,
): Promise<Tensor> {
  const bytes = await readSource(source, { signal })
  return await pixelsToTensor(await decode(bytes, sourceName(source), limits, { signal }), { signal })
}

function resize(
  image: Tensor,
  size: readonly [number, number],
  resample: 'bilinear' | 'bicubic',
  options: CallOptions,
): Promise<Tensor> {
  return resample === 'bicubic'
    ? resizeBicubic(image, size, options)
    : interpolateAsync(image, size, { antialias: true, ...options })
}

/** `standardize` on an executor thread. Takes over `scaled`. */
async function standardizeAsync(scaled: Tensor, normalization: Normalization, options: CallOptions): Promise<Tensor> {
  using image = scaled
  const { mean, std } = perChannel(normalization, image.device)
  using _mean = mean
  using _std = std
  using centred = await callOperatorAsync(operators.sub, [image, mean], options)
  return await callOperatorAsync(operators.div, [centred, std], options)
}

/** The longest side of an image that can be resized to: a longer one would block the event loop. */
const longestSide = 65_535

interface Checked extends CallOptions {
  readonly size: readonly [number, number] | undefined
  readonly resample: 'bilinear' | 'bicubic'
  readonly normalize: Normalization | false
  readonly device: string
  readonly background: number | undefined
  readonly maxPixels: number
}

/** The options with all defaults. Refuses what can be refused before work starts. */
function check(options: LoadImageOptions): Checked {
  const given = expect.options(options)
  const { resample = 'bilinear', normalize = false, device = 'cpu', background, maxPixels = defaultMaxPixels } = given
  const size =
    given.size === undefined ? undefined : expect.size('size', given.size, { code: 'ERR_SHAPE', max: longestSide })
  return {
    size,
    resample: expect.oneOf('resample', resample, ['bilinear', 'bicubic']),
    normalize:
      normalize === false ? false : checkNormalization(normalize, [1, 3, size?.[0] ?? null, size?.[1] ?? null]),
    device: expect.string('device', device),
    background: background === undefined ? undefined : expect.number('background', background, { min: 0, max: 1 }),
    maxPixels: expect.count('maxPixels', maxPixels),
    signal: expect.signal(given.signal),
  }
}
