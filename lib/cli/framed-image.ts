import { encodeMap } from '../batch/encode.js'
import { decode } from '../images/decode.js'
import { drawGrey, type MapValues } from '../images/draw-map.js'
import { encodeImage } from '../images/encode-image.js'
import { frameImage } from '../images/frame-image.js'
import { defaultDecodeSeconds, defaultMaxPixels, denormalize, normalize, overlay } from '../images/index.js'
import { readSource, sourceName } from '../images/read-source.js'
import { framingOf } from '../preprocess/framing.js'
import type { Preprocess } from '../preprocess/preprocess.js'
import { interpolate } from '../tensor/interpolate.js'
import { Tensor, tidy } from '../tensor/tensor.js'

/** What was drawn of a map. */
export interface Drawn {
  /** PNG files, by kind. */
  readonly files: Readonly<Record<string, Buffer>>
  /** The pixel of those files where the map is greatest; null where no value is above 0. */
  readonly peak: { readonly x: number; readonly y: number } | null
}

/** An image as the model's input, and how maps over that input are drawn. */
export interface FramedImage extends Disposable {
  /** [1, 3, H, W] */
  readonly input: Tensor
  /**
   * @param map [1, 1, h, w] over the whole input
   * @param kinds 'overlay' lies over the image; every other one is the map in grey
   */
  readonly draw: (map: Tensor, kinds: readonly string[]) => Promise<Drawn>
}

export interface FrameImageOptions {
  readonly preprocess: Preprocess
  /** Results have the size of the image; otherwise that of the input, of which they are drawings then. */
  readonly ownSize: boolean
  /** Whether the image may be an SVG. */
  readonly svg: boolean
}

/** How much of the map an overlay shows: as in `gradcam batch`. */
const alpha = 0.5

/** Reads an image and makes of it what a model takes. Throws what decoding and framing throw. */
export async function frameFile(file: string, { preprocess, ownSize, svg }: FrameImageOptions): Promise<FramedImage> {
  const limits = { maxPixels: defaultMaxPixels, decodeSeconds: defaultDecodeSeconds, svg, background: undefined }
  const image = await decode(await readSource(file, {}), sourceName(file), limits, {})
  const framing = framingOf([image.height, image.width], preprocess)
  const input = Tensor.from(await frameImage(image, framing, preprocess), [1, 3, ...framing.size])
  const draw = async (map: Tensor, kinds: readonly string[]): Promise<Drawn> => {
    if (!ownSize) return await drawOverInput(map, kinds, input, preprocess)
    const drawable = { id: file, map: valuesOf(map), image, framing }
    const files: Record<string, Buffer> = {}
    for (const kind of kinds)
      files[kind] = await encodeMap(drawable, kind === 'overlay' ? 'overlay-png' : 'grey', { alpha })
    const levels = await drawGrey(drawable.map, [image.height, image.width], framing, Uint16Array)
    const at = drawable.map.data.some((value) => value > 0) ? levels.indexOf(0xffff) : -1
    return { files, peak: at < 0 ? null : { x: at % image.width, y: Math.floor(at / image.width) } }
  }
  return { input, draw, [Symbol.dispose]: () => input.dispose() }
}

function valuesOf(map: Tensor): MapValues {
  const [, , height = 0, width = 0] = map.shape
  using plain = map.to({ device: 'cpu', dtype: 'float32' })
  return { data: plain.toTypedArray() as Float32Array, height, width }
}

async function drawOverInput(
  map: Tensor,
  kinds: readonly string[],
  input: Tensor,
  { mean, std }: Preprocess,
): Promise<Drawn> {
  const [, , height = 0, width = 0] = input.shape
  using large = tidy(() => interpolate(map.to({ device: 'cpu', dtype: 'float32' }), [height, width]))
  using pixels = denormalize(input, { mean, std })
  const files: Record<string, Buffer> = {}
  for (const kind of kinds) {
    using drawn = kind === 'overlay' ? overlay(pixels, large) : normalize(large)
    files[kind] = await encodeImage(drawn)
  }
  return { files, peak: peakOf(large) }
}

function peakOf(map: Tensor): { x: number; y: number } | null {
  const [, , , width = 1] = map.shape
  const at = tidy(() => (map.amax([0, 1, 2, 3]).item() > 0 ? map.flatten().argmax().item() : -1))
  return at < 0 ? null : { x: at % width, y: Math.floor(at / width) }
}
