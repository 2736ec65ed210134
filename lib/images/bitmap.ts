import type { Pixels } from './pixels.js'

/** The size of a BMP or PNM image, and how its pixels are read. */
export interface Bitmap {
  readonly height: number
  readonly width: number
  /** @throws Error where pixels are missing, or in a form that is not supported */
  readonly read: () => Pixels
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

  function read(): Pixels {
    const start = view.getUint32(10, true)
    const stride = Math.ceil((width * bits) / 32) * 4
    if (start + stride * height > bytes.length) throw new Error('pixels are missing')
    const data = new Uint8Array(height * width * 3)
    const pixel = bits <= 8 ? paletted() : bits === 24 ? bgr24 : masked()
    for (let row = 0; row < height; row++) {
      // From the bottom up, unless the height is negative.
      const from = start + stride * (signedHeight > 0 ? height - 1 - row : row)
      for (let column = 0; column < width; column++) pixel(from, column, data, (row * width + column) * 3)
    }
    return { data, height, width }
  }

  function bgr24(from: number, column: number, data: Uint8Array, to: number): void {
    const at = from + column * 3
    for (let channel = 0; channel < 3; channel++) data[to + channel] = bytes[at + 2 - channel] as number
  }

  function paletted(): typeof bgr24 {
    const entry = isCore ? 3 : 4
    const palette = 14 + headerSize
    return (from, column, data, to) => {
      const bit = column * bits
      const index = ((bytes[from + (bit >> 3)] as number) >> (8 - bits - (bit & 7))) & ((1 << bits) - 1)
      const at = palette + index * entry
      if (at + 2 >= bytes.length) throw new Error('its palette is cut short')
      for (let channel = 0; channel < 3; channel++) data[to + channel] = bytes[at + 2 - channel] as number
    }
  }

  function masked(): typeof bgr24 {
    const masks = fieldMasks().map((mask) => {
      const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask)
      return { mask, shift, most: mask >>> shift }
    })
    return (from, column, data, to) => {
      const at = from + column * (bits / 8)
      const value = bits === 16 ? view.getUint16(at, true) : view.getUint32(at, true)
      masks.forEach(({ mask, shift, most }, channel) => {
        data[to + channel] = most === 0 ? 0 : Math.floor((((value & mask) >>> shift) * 255) / most)
      })
    }
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

  /** A bit without white space around it. */
  function bit(): number {
    while (at < bytes.length && !isOneOf('01', bytes[at])) at++
    if (at >= bytes.length) throw new Error('pixels are missing')
    return (bytes[at++] as number) - 0x30
  }

  function samples(): (index: number, row: number, column: number) => number {
    if (isText) return isBits ? bit : number
    const wide = most > 255 ? 2 : 1
    const stride = isBits ? Math.ceil(width / 8) : width * channels * wide
    if (start + stride * height > bytes.length) throw new Error('pixels are missing')
    if (isBits)
      return (_, row, column) => ((bytes[start + row * stride + (column >> 3)] as number) >> (7 - (column & 7))) & 1
    if (wide === 1) return (index) => bytes[start + index] as number
    return (index) => (bytes[start + index * 2] as number) * 256 + (bytes[start + index * 2 + 1] as number)
  }

  function read(): Pixels {
    const data = new Uint8Array(height * width * 3)
    const sample = samples()
    for (let pixel = 0; pixel < height * width; pixel++)
      for (let channel = 0; channel < channels; channel++) {
        const value = sample(pixel * channels + channel, Math.floor(pixel / width), pixel % width)
        // In a bitmap 1 is black.
        const level = isBits ? (1 - value) * 255 : most === 255 ? value : toLevel(value)
        if (channels === 3) data[pixel * 3 + channel] = level
        else data.fill(level, pixel * 3, pixel * 3 + 3)
      }
    return { data, height, width }
  }

  /** As Pillow: grey of 16 bits is clipped at 255, anything else is scaled. */
  function toLevel(value: number): number {
    if (channels === 1 && most > 255) return Math.min(255, Math.round((value * 65_535) / most))
    return Math.min(255, Math.round((value * 255) / most))
  }
}
