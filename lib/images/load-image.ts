import type { CallOptions } from '../addon/abort.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { expect } from '../base/check.js'
import { functions } from '../tensor/operators.js'
import type { Tensor } from '../tensor/tensor.js'
import { decode, type DecodeLimits } from './decode.js'
import { frameChannels, scalesOf } from './frame-channels.js'
import { resamples, type Resample } from './frame-image.js'
import { checkNormalization, type Normalization } from './normalization.js'
import { readSource, sourceName, type ImageSource } from './read-source.js'
import { releaseFile, releasePixels } from './release-bytes.js'

export interface LoadImageOptions extends CallOptions {
  /** [height, width] to resize to, whatever the image's proportions. By default it keeps its own size. */
  size?: readonly [number, number]
  /**
   * The filter for resizing, antialiased. 'bilinear' by default, as in `torchvision.transforms.Resize`; where Python says
   * Pillow's `image.resize(size)` with no filter named, that is 'bicubic'.
   */
  resample?: Resample
  /** Subtract this mean and divide by this standard deviation, e.g. `imagenet`. Not done by default. */
  normalize?: Normalization | false
  /**
   * How many channels the model takes: 3 by default; 1 is the grey of Pillow's `convert('L')`; others are the pages of a TIFF.
   * See `expectedInput`. For arrays of any kind there is `loadNpy`.
   */
  channels?: number
  /** The type of the tensor, e.g. `model.dtype`. 'float32' by default. */
  dtype?: 'float32' | 'float64' | 'float16' | 'bfloat16'
  /** The device of the tensor, e.g. `model.device`. 'cpu' by default. */
  device?: string
  /**
   * The grey, from 0 for black to 1 for white, that shows through transparent pixels. By default transparency is
   * dropped and the colour stored beneath it used, as Pillow's `convert('RGB')` does.
   */
  background?: number
  /** Images with more pixels than this are refused. {@link defaultMaxPixels} by default. */
  maxPixels?: number
  /** Images that take longer to decode are refused. {@link defaultDecodeSeconds} by default. */
  decodeSeconds?: number
  /**
   * Whether an SVG is accepted. False by default: it is a document that may take any time and much memory to render. It is
   * then rendered in a process of its own, at most 4 MiB of it to at most 25 million pixels, and must not refer to anything
   * outside itself.
   */
  svg?: boolean
}

/** The limit above which Pillow, too, regards an image as a decompression bomb. */
export const defaultMaxPixels = 178_956_970

/** The largest images take some seconds to decode. */
export const defaultDecodeSeconds = 60

/**
 * Reads an image as input for a model: JPEG, PNG, WebP, AVIF, GIF or TIFF, on request SVG, decoded by sharp; BMP or PNM.
 *
 * The image is turned upright by its EXIF orientation; grey, palette and CMYK become RGB as by Pillow, 16 bits per channel 8 (grey
 * is clipped at 255, so that 12-bit grey should be scaled before); of an animation the first frame is taken. Embedded colour
 * profiles are ignored, as in Pillow and torchvision. AVIF with subsampled colours differs from Pillow by 1 of 255 in the mean.
 * Resizing is Pillow's, byte for byte, so that a model sees what it sees in Python.
 *
 * @param source a path, a `file:` URL, or the bytes of the file
 * @returns [1, channels, H, W], float32 by default, in [0, 1] unless `normalize` is given
 * @throws GradCamError ERR_CHANNELS, ERR_IMAGE_NOT_FOUND, ERR_IMAGE_UNREADABLE, ERR_IMAGE_CORRUPT, ERR_IMAGE_TOO_LARGE, ERR_IMAGE_TIMEOUT,
 *   ERR_IMAGE_SVG, ERR_SHAPE, ERR_INVALID_ARGUMENT
 */
export async function loadImage(source: ImageSource, options: LoadImageOptions = {}): Promise<Tensor> {
  const { size, limits, background, normalize, resample, device, channels, dtype, signal } = check(options)
  const bytes = await readSource(source, { signal })
  const name = sourceName(source)
  const pixels = await decode(bytes, name, { ...limits, background, pages: channels > 3 || channels === 2 }, { signal })
  const resized = size ?? ([pixels.height, pixels.width] as const)
  const { mean, std } = normalize || unscaled
  const framing = { resized, offset: [0, 0] as const, size: resized }
  const scales = scalesOf({ mean, std, resample, fill: [0, 0, 0] }, channels)
  releaseFile(source, bytes, pixels)
  using planes = await frameChannels({ image: pixels, channels, name }, framing, scales)
  releasePixels(pixels)
  signal?.throwIfAborted()
  const image = planes.unsqueeze(0)
  if (device === 'cpu' && dtype === 'float32') return image
  using onCpu = image
  return await callOperatorAsync(functions.to, [onCpu, device, dtype], { signal })
}

/** Pixels stay as they are, from 0 to 1. */
const unscaled: Normalization = { mean: [0], std: [1] }

const inputDTypes = ['float32', 'float64', 'float16', 'bfloat16'] as const

/** The longest side of an image that can be resized to. */
const longestSide = 65_535

interface Checked extends CallOptions {
  readonly size: readonly [number, number] | undefined
  readonly resample: Resample
  readonly normalize: Normalization | false
  readonly device: string
  readonly channels: number
  readonly dtype: (typeof inputDTypes)[number]
  readonly background: number | undefined
  readonly limits: DecodeLimits
}

/** Options that bound what an image may ask for. */
export type DecodeLimitOptions = Pick<LoadImageOptions, 'maxPixels' | 'decodeSeconds' | 'svg'>

/** With the defaults filled in. Throws ERR_INVALID_ARGUMENT. */
export function checkDecodeLimits(options: DecodeLimitOptions): DecodeLimits {
  const { maxPixels = defaultMaxPixels, decodeSeconds = defaultDecodeSeconds, svg = false } = options
  return {
    maxPixels: expect.count('maxPixels', maxPixels),
    decodeSeconds: expect.number('decodeSeconds', decodeSeconds, { min: 1, max: 86_400 }),
    svg: expect.boolean('svg', svg),
  }
}

/** The options with all defaults. Refuses what can be refused before work starts. */
function check(options: LoadImageOptions): Checked {
  const given = expect.options(options)
  const { resample = 'bilinear', normalize = false, device = 'cpu', background, channels = 3, dtype } = given
  const size =
    given.size === undefined ? undefined : expect.size('size', given.size, { code: 'ERR_SHAPE', max: longestSide })
  return {
    size,
    resample: expect.oneOf('resample', resample, resamples),
    normalize:
      normalize === false ? false : checkNormalization(normalize, [1, channels, size?.[0] ?? null, size?.[1] ?? null]),
    channels: expect.integer('channels', channels, { min: 1, max: 1024 }),
    dtype: expect.oneOf('dtype', dtype ?? 'float32', inputDTypes),
    device: expect.string('device', device),
    background: background === undefined ? undefined : expect.number('background', background, { min: 0, max: 1 }),
    limits: checkDecodeLimits(given),
    signal: expect.signal(given.signal),
  }
}
