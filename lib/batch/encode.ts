import { GradCamError } from '../base/errors.js'
import type { Pixels } from '../images/decode.js'
import { loadSharp } from '../images/sharp.js'
import { drawGrey, drawOverlay, type MapValues } from '../images/draw-map.js'
import type { Framing } from '../preprocess/framing.js'
import { toNpy } from './npy.js'

/** What a file is made of. */
export interface Drawable {
  readonly id: string
  readonly map: MapValues
  /** Null where the input was a tensor. */
  readonly image: Pixels | null
  readonly framing: Framing
}

export interface EncodeMapOptions {
  /** How much of the map an overlay shows: 0 gives the image alone, 1 the map alone. 0.5 by default. */
  readonly alpha?: number
}

interface Encoding {
  readonly extension: string
  readonly encode: (drawable: Drawable, alpha: number) => Promise<Buffer>
}

/** Everything that a result can be written as: one line each. */
const encodings = {
  /** The map over the image, in the image's size, where the model saw it. */
  overlay: { extension: 'jpg', encode: overlayJpeg },
  'overlay-png': { extension: 'png', encode: overlayPng },
  /** The map alone in the image's size, stretched to 0 to 255; black where the model saw nothing. */
  grey: { extension: 'png', encode: (drawable) => greyPng(drawable, Uint8Array) },
  /** The same in 16 bits. */
  png16: { extension: 'png', encode: (drawable) => greyPng(drawable, Uint16Array) },
  /** The map as the method made it, float32 [h, w] over the model's input, not normalised, for `numpy.load`. */
  npy: { extension: 'npy', encode: async ({ map }) => toNpy(map.data, [map.height, map.width]) },
} satisfies Record<string, Encoding>

export type BatchFile = keyof typeof encodings

export const batchFiles = Object.keys(encodings) as readonly BatchFile[]

/** The extension of such a file, without the dot. */
export function extensionOf(file: BatchFile): string {
  return encodings[file].extension
}

export async function encodeMap(drawable: Drawable, file: BatchFile, options: EncodeMapOptions = {}): Promise<Buffer> {
  const { alpha = 0.5 } = options
  if (!Object.hasOwn(encodings, file))
    throw new GradCamError('ERR_INVALID_ARGUMENT', `There is no file '${file}'. There are ${batchFiles.join(', ')}.`)
  if (!(alpha >= 0 && alpha <= 1))
    throw new GradCamError('ERR_INVALID_ARGUMENT', `alpha is ${alpha}: give a number from 0 to 1.`)
  return await encodings[file].encode(drawable, alpha)
}

async function drawn({ id, map, image, framing }: Drawable, alpha: number) {
  if (!image)
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `'${id}' was given as a tensor, so there is no image to lay its map over. Write grey, png16 or npy.`,
    )
  const { height, width } = image
  const sharp = await loadSharp()
  const raw = { height, width, channels: 3 } as const
  return sharp(await drawOverlay(map, image, framing, alpha), { raw, limitInputPixels: false })
}

/** No image to keep for ever: half of 4:4:4's bytes and time, and standard tables instead of a second pass. */
async function overlayJpeg(drawable: Drawable, alpha: number): Promise<Buffer> {
  const { height = 0, width = 0 } = drawable.image ?? {}
  if (height > 65_500 || width > 65_500)
    throw new GradCamError(
      'ERR_IMAGE_WRITE',
      `JPEG takes 65,500 pixels a side at most, but '${drawable.id}' has ${width} x ${height}. Write overlay-png.`,
    )
  return await (await drawn(drawable, alpha)).jpeg({ quality: 90, optimiseCoding: false }).toBuffer()
}

async function overlayPng(drawable: Drawable, alpha: number): Promise<Buffer> {
  return await (await drawn(drawable, alpha)).png({ compressionLevel: 4 }).toBuffer()
}

async function greyPng(
  { map, image, framing }: Drawable,
  levels: typeof Uint8Array | typeof Uint16Array,
): Promise<Buffer> {
  const { height, width } = image ?? { height: framing.size[0], width: framing.size[1] }
  const values = await drawGrey<Uint8Array | Uint16Array>(map, [height, width], framing, levels)
  const sharp = await loadSharp()
  const grey = sharp(values, { raw: { height, width, channels: 1 }, limitInputPixels: false })
  return await grey
    .toColourspace(levels === Uint8Array ? 'b-w' : 'grey16')
    .png({ compressionLevel: 4 })
    .toBuffer()
}
