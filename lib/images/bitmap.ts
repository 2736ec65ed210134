import type { NativePackedForm, NativePackedRows } from '../addon/binding.js'
import type { Pixels } from './pixels.js'
import { grey, sameTables, unpack } from './unpack.js'

/** The size of a BMP or PNM image, and how its pixels are read. */
export interface Bitmap {
  readonly height: number
  readonly width: number
  /** @throws Error where pixels are missing, or in a form that is not supported */
  readonly read: () => Promise<Pixels>
}

/**
 * BMP and PNM (PBM, PGM, PPM), which sharp does not read: simple formats that data sets are made of.
 *
 * @returns null where the bytes are something else
 * @throws Error where the header is damaged
 */
export function findBitmap(bytes: Uint8Array): Bitmap | null {
  if (bytes[0] === 0x42 && bytes[1] === 0x4d && bytes.length > 26) return findBmp(bytes)
  if (bytes[0] === 0x50 && isOneOf('123456', bytes[1]) && isOneOf(' \t\n\r#', bytes[2])) return findPnm(bytes)
  return null
}

const isOneOf = (characters: string, byte: number | undefined): boolean =>
  byte !== undefined && characters.includes(String.fromCharCode(byte))

// BMP ----------------------------------------------------------------------------------------------------------------

/** Blue, green and red. */
const colours: NativePackedForm = {
  kind: 'samples',
  bits: 8,
  bigEndian: false,
  perPixel: 3,
  of: [2, 1, 0],
  tables: sameTables(8, (value) => value),
}

const uncompressed = 0
const bitFields = [3, 6]

/** Windows' bitmaps of 1, 4, 8, 16, 24 and 32 bits a pixel without compression; alpha is dropped, as Pillow does. */
function findBmp(bytes: Uint8Array): Bitmap {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const headerSize = view.getUint32(14, true)
  if (headerSize !== 12 && headerSize < 40) throw new Error('its header is damaged')
  const isCore = headerSize === 12
  if (14 + headerSize > bytes.length) throw new Error('its header is cut short')
  const width = isCore ? view.getUint16(18, true) : view.getInt32(18, true)
  const signedHeight = isCore ? view.getUint16(20, true) : view.getInt32(22, true)
  const height = Math.abs(signedHeight)
  if (width < 1 || height < 1) throw new Error(`its header says ${width} x ${signedHeight} pixels`)
  const bits = view.getUint16(isCore ? 24 : 28, true)
  const compression = isCore ? uncompressed : view.getUint32(30, true)
  const supported =
    compression === uncompressed ? [1, 4, 8, 16, 24, 32].includes(bits) : bitFields.includes(compression) && bits >= 16
  if (!supported) throw new Error(`BMP with compression ${compression} and ${bits} bits a pixel is not supported`)
  return { height, width, read }

  async function read(): Promise<Pixels> {
    const start = view.getUint32(10, true)
    const stride = Math.ceil((width * bits) / 32) * 4
    if (start + stride * height > bytes.length) throw new Error('pixels are missing')
    // From the bottom up, unless the height is negative.
    const rows = { start, stride, bottomUp: signedHeight > 0, height, width }
    return await unpack(bytes, rows, bits <= 8 ? paletted(rows) : bits === 24 ? colours : fields())
  }

  function paletted({ start, stride }: NativePackedRows): NativePackedForm {
    const entry = isCore ? 3 : 4
    const palette = 14 + headerSize
    const values = 2 ** bits
    const inFile = Math.floor((bytes.length - palette) / entry)
    // Then it is a small file.
    if (inFile < values && someIndex(start, stride, (index) => index >= inFile))
      throw new Error('its palette is cut short')
    const tables = new Uint8Array(3 * values)
    for (let index = 0; index < Math.min(values, inFile); index++)
      for (let channel = 0; channel < 3; channel++)
        tables[channel * values + index] = bytes[palette + index * entry + 2 - channel] as number
    return { kind: 'samples', bits, bigEndian: false, perPixel: 1, of: grey, tables }
  }

  function someIndex(start: number, stride: number, is: (index: number) => boolean): boolean {
    for (let row = 0; row < height; row++)
      for (let bit = 0; bit < width * bits; bit += bits) {
        const byte = bytes[start + stride * row + (bit >> 3)] as number
        if (is((byte >> (8 - bits - (bit & 7))) & ((1 << bits) - 1))) return true
      }
    return false
  }

  function fields(): NativePackedForm {
    return { kind: 'fields', bytes: bits / 8, masks: fieldMasks() }
  }

  function fieldMasks(): number[] {
    if (compression === uncompressed)
      return bits === 16 ? [0x7c00, 0x03e0, 0x001f] : [0x00ff0000, 0x0000ff00, 0x000000ff]
    if (bytes.length < 66) throw new Error('its header is cut short')
    return [54, 58, 62].map((at) => view.getUint32(at, true))
  }
}

// PNM ----------------------------------------------------------------------------------------------------------------

/** Netpbm's bitmaps, grey maps and pixel maps, in text (P1 to P3) and binary (P4 to P6). */
function findPnm(bytes: Uint8Array): Bitmap {
  const kind = (bytes[1] as number) - 0x30
  const isText = kind <= 3
  const channels = kind === 3 || kind === 6 ? 3 : 1
  const isBits = kind === 1 || kind === 4
  let at = 2
  const width = number()
  const height = number()
  const most = isBits ? 1 : number()
  if (width < 1 || height < 1 || most < 1 || most > 65_535) throw new Error('its header is damaged')
  const start = at + 1 // a single white space
  return { height, width, read }

  /** The next number, after white space and comments. */
  function number(): number {
    while (at < bytes.length && isOneOf(' \t\n\r\v\f#', bytes[at])) {
      if (bytes[at] === 0x23) while (at < bytes.length && !isOneOf('\n\r', bytes[at])) at++
      else at++
    }
    const from = at
    while (at < bytes.length && isOneOf('0123456789', bytes[at]) && at - from < 10) at++
    if (at === from) throw new Error(from >= bytes.length ? 'pixels are missing' : 'a number is expected in it')
    return Number(Buffer.from(bytes.subarray(from, at)).toString('latin1'))
  }

  async function read(): Promise<Pixels> {
    if (isText)
      return await unpack(
        bytes,
        { start: at, stride: 0, bottomUp: false, height, width },
        { kind: 'text', channels, most: isBits ? 0 : most },
      )
    const sampleBits = isBits ? 1 : most > 255 ? 16 : 8
    const stride = isBits ? Math.ceil(width / 8) : (width * channels * sampleBits) / 8
    if (start + stride * height > bytes.length) throw new Error('pixels are missing')
    return await unpack(
      bytes,
      { start, stride, bottomUp: false, height, width },
      {
        kind: 'samples',
        bits: sampleBits,
        bigEndian: true,
        perPixel: channels,
        of: channels === 3 ? [0, 1, 2] : grey,
        // In a bitmap 1 is black.
        tables: sameTables(sampleBits, (value) => (isBits ? (1 - value) * 255 : toLevel(value))),
      },
    )
  }

  /** As Pillow: grey of 16 bits is clipped at 255, anything else is scaled. */
  function toLevel(value: number): number {
    if (channels === 1 && most > 255) return Math.min(255, Math.round((value * 65_535) / most))
    return Math.min(255, Math.round((value * 255) / most))
  }
}
