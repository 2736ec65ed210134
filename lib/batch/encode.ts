import type { Sharp } from 'sharp'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import type { NodeBuffer } from '../base/platform-types.js'
import type { Pixels } from '../images/pixels.js'
import { releaseBytes } from '../images/release-bytes.js'
import { loadSharp } from '../images/sharp.js'
import { drawGrey, drawOverlay, type MapValues } from '../images/draw-map.js'
import type { Framing } from '../preprocess/framing.js'
import { toNpy } from './npy.js'

/** A map and what it is drawn over. */
export interface Drawable {
  readonly id: string
  readonly map: MapValues
  /** Null where the input was a tensor. */
  readonly image: Pixels | null
  readonly framing: Framing
}

/** How {@link BatchExplanation.encode} draws a map. */
export interface EncodeMapOptions {
  /** How much of the map an overlay shows: 0 gives the image alone, 1 the map alone. 0.5 by default. */
  readonly alpha?: number
}

interface Encoding {
  /** What the name of such a file ends in. */
  readonly ending: string
  readonly help: string
  readonly encode: (drawable: Drawable, alpha: number) => Promise<NodeBuffer>
}

/** The kinds of files that a result can be written as. */
const encodings = {
  overlay: {
    ending: 'overlay.jpg',
    help: 'the map over the image, in its size; parts that the model did not see are left as they are',
    encode: overlayJpeg,
  },
  'overlay-png': { ending: 'overlay.png', help: 'the same without loss', encode: overlayPng },
  'overlay-webp': { ending: 'overlay.webp', help: 'the same as WebP', encode: overlayWebp },
  grey: {
    ending: 'grey.png',
    help: 'the map alone in the size of the image, min-max normalised to 0 to 255; 0 where the model saw nothing',
    encode: (drawable): Promise<NodeBuffer> => greyPng(drawable, Uint8Array),
  },
  png16: {
    ending: 'grey16.png',
    help: 'the same, 0 to 65535',
    encode: (drawable): Promise<NodeBuffer> => greyPng(drawable, Uint16Array),
  },
  npy: {
    ending: 'map.npy',
    help: 'the map as the method made it, float32 [h, w] over the input of the model, for numpy.load',
    encode: async ({ map }): Promise<NodeBuffer> => toNpy(map.data, map.sizes ?? [map.height, map.width]),
  },
} satisfies Record<string, Encoding>

/** A kind of file that a result can be written as: see {@link BatchExplanation.encode}. */
export type BatchFile = keyof typeof encodings

/** Every kind of file. */
export const batchFiles = Object.keys(encodings) as readonly BatchFile[]

/** What the name of such a file ends in, e.g. 'overlay.jpg', and what is in it. */
export function describeBatchFile(file: BatchFile): Pick<Encoding, 'ending' | 'help'> {
  return encodings[file]
}

/** See {@link BatchExplanation.encode}. */
export async function encodeMap(
  drawable: Drawable,
  file: BatchFile,
  options: EncodeMapOptions = {},
): Promise<NodeBuffer> {
  const { alpha = 0.5 } = expect.options(options)
  const { encode } = encodings[expect.oneOf('file', file, batchFiles)]
  return await encode(drawable, expect.number('alpha', alpha, { min: 0, max: 1 }))
}

/** Maps of volumes and signals are not images. */
function requireImage({ id, map: { sizes } }: Drawable): void {
  if (sizes && sizes.length !== 2)
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `The map of '${id}' has ${sizes.length} spatial ${sizes.length === 1 ? 'dimension' : 'dimensions'}, so it cannot be drawn as an image.`,
      { remedy: 'Write npy.' },
    )
}

/** An overlay as the bytes of a file. */
async function overlaid(
  { id, map, image, framing }: Drawable,
  alpha: number,
  encode: (overlay: Sharp) => Sharp,
): Promise<NodeBuffer> {
  if (!image)
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `'${id}' was given as a tensor, which has no image to draw its map over. Write grey, png16 or npy.`,
    )
  const { height, width } = image
  const sharp = await loadSharp()
  const raw = { height, width, channels: 3 } as const
  const overlay = await drawOverlay(map, image, framing, alpha)
  try {
    return await encode(sharp(overlay, { raw, limitInputPixels: false })).toBuffer()
  } finally {
    releaseBytes(overlay)
  }
}

/** Small and fast rather than archival: 4:2:0 chroma takes half of 4:4:4's bytes and time; default Huffman tables save a pass. */
async function overlayJpeg(drawable: Drawable, alpha: number): Promise<NodeBuffer> {
  requireImage(drawable)
  const { height = 0, width = 0 } = drawable.image ?? {}
  if (height > 65_500 || width > 65_500)
    throw new GradCamError(
      'ERR_IMAGE_WRITE',
      `JPEG allows at most 65,500 pixels a side, but '${drawable.id}' has ${width} x ${height}. Write overlay-png.`,
    )
  return await overlaid(drawable, alpha, (overlay) => overlay.jpeg({ quality: 90, optimiseCoding: false }))
}

async function overlayPng(drawable: Drawable, alpha: number): Promise<NodeBuffer> {
  requireImage(drawable)
  return await overlaid(drawable, alpha, (overlay) => overlay.png({ compressionLevel: 4 }))
}

async function overlayWebp(drawable: Drawable, alpha: number): Promise<NodeBuffer> {
  const { height = 0, width = 0 } = drawable.image ?? {}
  if (height > 16_383 || width > 16_383)
    throw new GradCamError(
      'ERR_IMAGE_WRITE',
      `WebP allows at most 16,383 pixels a side, but '${drawable.id}' has ${width} x ${height}. Write overlay-png.`,
    )
  return await overlaid(drawable, alpha, (overlay) => overlay.webp({ quality: 90, effort: 2 }))
}

async function greyPng(drawable: Drawable, levels: typeof Uint8Array | typeof Uint16Array): Promise<NodeBuffer> {
  requireImage(drawable)
  const { map, image, framing } = drawable
  const { height, width } = image ?? { height: framing.size[0], width: framing.size[1] }
  const values = await drawGrey<Uint8Array | Uint16Array>(map, [height, width], framing, levels)
  const sharp = await loadSharp()
  const grey = sharp(values, { raw: { height, width, channels: 1 }, limitInputPixels: false })
  try {
    return await grey
      .toColourspace(levels === Uint8Array ? 'b-w' : 'grey16')
      .png({ compressionLevel: 4 })
      .toBuffer()
  } finally {
    releaseBytes(values)
  }
}
