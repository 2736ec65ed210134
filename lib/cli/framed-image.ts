import { encodeMap } from '../batch/encode.js'
import { wholeOf } from '../batch/explain-batch.js'
import { toNpy } from '../batch/npy.js'
import { prepare, toInput } from '../batch/prepare.js'
import { drawGrey } from '../images/draw-map.js'
import { scalesOf } from '../images/frame-channels.js'
import { defaultDecodeSeconds, defaultMaxPixels, denormalize } from '../images/index.js'
import { loadNpy } from '../images/load-npy.js'
import type { Pixels } from '../images/pixels.js'
import type { ExpectedInput } from '../model/expected-input.js'
import type { Framing } from '../preprocess/framing.js'
import type { Preprocess } from '../preprocess/preprocess.js'
import { tidy } from '../tensor/tidy.js'
import type { Tensor } from '../tensor/tensor.js'

/** What was drawn of a map. */
export interface Drawn {
  /** PNG files, by kind. */
  readonly files: Readonly<Record<string, Buffer>>
  /** The pixel of those files where the map is greatest; null where no value is above 0. */
  readonly peak: { readonly x: number; readonly y: number } | null
  /** Instead of images the map as the bytes of a .npy file, where the input is not an image. */
  readonly array?: Buffer
}

/** An image as the model's input, and how maps over that input are drawn. */
export interface FramedImage extends Disposable {
  /** [1, C, H, W], or an array of other dimensions */
  readonly input: Tensor
  /** Makes what the model was given an image, [1, 3, H, W] in [0, 1], for the caller to dispose; null where it is not one. */
  readonly shown: (() => Tensor) | null
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

/** An array of a .npy file as a batch of one. */
export async function readArray(file: string, expected: ExpectedInput): Promise<Tensor> {
  using array = await loadNpy(file)
  return toInput(array, `'${file}'`, expected)
}

/** Reads an image, or an array, and makes of it what a model takes. Throws what `gradcam batch` says of it. */
export async function frameFile(
  file: string,
  { preprocess, ownSize, svg, expected }: FrameImageOptions & { readonly expected: ExpectedInput },
): Promise<FramedImage> {
  const item = { index: 0, id: file, source: file, tensor: null, target: 0 }
  const limits = { maxPixels: defaultMaxPixels, decodeSeconds: defaultDecodeSeconds, svg, background: undefined }
  const { input, image, framing } = await prepare(item, {
    preprocess,
    expected,
    limits,
    sha256: false,
    reserve: async () => {},
  })
  const draw = async (map: Tensor, kinds: readonly string[]): Promise<Drawn> => {
    if (!image || map.shape.length !== 4) return { files: {}, peak: null, array: toNpy(...valuesOf(map)) }
    if (ownSize || !framing)
      return await drawOverImage(map, kinds, { id: file, image, framing: framing ?? wholeOf(input) })
    return await drawOverImage(map, kinds, { id: file, image: pixelsOf(input, preprocess), framing: wholeOf(input) })
  }
  const shown = image && (() => shownOf(input, preprocess))
  return { input, shown, draw, [Symbol.dispose]: () => input.dispose() }
}

/** The numbers of a map, and its shape without the dimensions of images and channels. */
function valuesOf(map: Tensor): [Float32Array, number[]] {
  using plain = map.to({ device: 'cpu', dtype: 'float32' })
  return [plain.toTypedArray() as Float32Array, map.shape.slice(2)]
}

async function drawOverImage(
  map: Tensor,
  kinds: readonly string[],
  over: { readonly id: string; readonly image: Pixels; readonly framing: Framing },
): Promise<Drawn> {
  const [data, [height = 0, width = 0]] = valuesOf(map)
  const drawable = { ...over, map: { data, height, width } }
  const files: Record<string, Buffer> = {}
  for (const kind of kinds)
    files[kind] = await encodeMap(drawable, kind === 'overlay' ? 'overlay-png' : 'grey', { alpha })
  const { image, framing } = over
  const levels = await drawGrey(drawable.map, [image.height, image.width], framing, Uint16Array)
  // Below the largest level where the map's range is next to the epsilon that it is divided by.
  const most = levels.reduce((greatest, level) => Math.max(greatest, level), 0)
  const at = data.some((value) => value > 0) ? levels.indexOf(most) : -1
  return { files, peak: at < 0 ? null : { x: at % image.width, y: Math.floor(at / image.width) } }
}

/** What the model was given, as an image: grey where it does not have three channels. */
function shownOf(input: Tensor, preprocess: Preprocess): Tensor {
  const [, channels = 3, height = 0, width = 0] = input.shape
  return tidy(() => {
    const plain = input.detach().to({ device: 'cpu', dtype: 'float32' })
    const shown = denormalize(plain, scalesOf(preprocess, channels))
    return (channels === 3 ? shown : shown.mean([1], true).expand([1, 3, height, width])).clamp(0, 1)
  })
}

function pixelsOf(input: Tensor, preprocess: Preprocess): Pixels {
  const [, , height = 0, width = 0] = input.shape
  using levels = tidy(() => {
    const colors = shownOf(input, preprocess)
    return colors.mul(255).round().squeeze(0).permute([1, 2, 0]).to({ dtype: 'uint8' }).contiguous()
  })
  return { data: levels.toTypedArray() as Uint8Array, height, width }
}
