import { crc32, inflateRawSync } from 'node:zlib'
import { damaged, readRange, type ByteRange } from './byte-source.js'

interface Entry {
  readonly compressed: boolean
  readonly packed: number
  readonly size: number
  readonly crc32: number
  readonly header: number
}

const endSignature = Buffer.from('PK\x05\x06', 'latin1')
const centralSignature = 0x02014b50
const localSignature = 0x04034b50
const locatorSignature = 0x07064b50
/** The end record, and the longest comment after it. */
const longestEnd = 22 + 65_535
const fits32 = 0xffffffff
/** The longest text that is unpacked from a compressed record: more than any program's graph has. */
const longestText = 256 * 2 ** 20

/**
 * The records of a zip archive, ZIP64 included, by their names. Reads the directory alone: a record's bytes stay in the
 * file, so that the addon can read them from there.
 */
export class Zip {
  readonly #entries = new Map<string, Entry>()

  /** @throws GradCamError ERR_MODEL_CORRUPT */
  constructor(private readonly range: ByteRange) {
    try {
      this.#readDirectory()
    } catch (cause) {
      if (cause instanceof RangeError)
        throw damaged(range.source.name, 'the directory of the archive is invalid', cause)
      throw cause
    }
  }

  get names(): string[] {
    return [...this.#entries.keys()]
  }

  has(name: string): boolean {
    return this.#entries.has(name)
  }

  #read(at: number, length: number): Buffer {
    if (at + length > this.range.length) throw this.#invalid('a record reaches past its end')
    return this.range.source.read(this.range.position + at, length)
  }

  #invalid(what: string) {
    return damaged(this.range.source.name, `as a zip archive it is invalid, ${what}`)
  }

  #readDirectory(): void {
    const { length } = this.range
    const start = Math.max(0, length - longestEnd)
    const tail = this.#read(start, length - start)
    const end = tail.lastIndexOf(endSignature)
    if (end < 0 || end + 22 > tail.length) throw this.#invalid('it has no directory')
    let count = tail.readUInt16LE(end + 10)
    let bytes = tail.readUInt32LE(end + 12)
    let at = tail.readUInt32LE(end + 16)
    // Right before the end record and nowhere else: a stored record may be an archive with an end of its own.
    if (end >= 20 && tail.readUInt32LE(end - 20) === locatorSignature) {
      const end64 = this.#read(Number(tail.readBigUInt64LE(end - 12)), 56)
      count = Number(end64.readBigUInt64LE(32))
      bytes = Number(end64.readBigUInt64LE(40))
      at = Number(end64.readBigUInt64LE(48))
    }
    const directory = this.#read(at, bytes)
    let place = 0
    for (let i = 0; i < count; i++) place = this.#readEntry(directory, place)
  }

  #readEntry(directory: Buffer, at: number): number {
    if (directory.readUInt32LE(at) !== centralSignature) throw this.#invalid('its directory is damaged')
    const nameEnd = at + 46 + directory.readUInt16LE(at + 28)
    const extraEnd = nameEnd + directory.readUInt16LE(at + 30)
    if (extraEnd > directory.length) throw this.#invalid('its directory is damaged')
    const name = directory.toString('utf8', at + 46, nameEnd)
    const [size, packed, header] = wideSizes(directory.subarray(nameEnd, extraEnd), [
      directory.readUInt32LE(at + 24),
      directory.readUInt32LE(at + 20),
      directory.readUInt32LE(at + 42),
    ])
    const method = directory.readUInt16LE(at + 10)
    if (method !== 0 && method !== 8) throw this.#invalid(`'${name}' is compressed in an unknown way`)
    if (this.#entries.has(name)) throw this.#invalid(`it holds '${name}' twice`)
    const crc = directory.readUInt32LE(at + 16)
    this.#entries.set(name, { compressed: method === 8, packed, size, crc32: crc, header })
    return extraEnd + directory.readUInt16LE(at + 32)
  }

  #packedRange(name: string, { packed, header, crc32: crc }: Entry): ByteRange {
    const local = this.#read(header, 30)
    if (local.readUInt32LE(0) !== localSignature) throw this.#invalid(`'${name}' is not where the directory says`)
    const at = header + 30 + local.readUInt16LE(26) + local.readUInt16LE(28)
    if (at + packed > this.range.length) throw this.#invalid(`'${name}' reaches past its end`)
    return { source: this.range.source, position: this.range.position + at, length: packed, crc32: crc }
  }

  /**
   * Where the bytes of a record are.
   *
   * @throws GradCamError ERR_MODEL_CORRUPT where there is none, or where it is compressed, which PyTorch never does
   */
  record(name: string): ByteRange {
    const entry = this.#entries.get(name)
    if (!entry) throw damaged(this.range.source.name, `the archive has no record '${name}'`)
    if (entry.compressed || entry.packed !== entry.size)
      throw damaged(this.range.source.name, `its record '${name}' is compressed, which PyTorch's files are not`)
    return this.#packedRange(name, entry)
  }

  /** A record as text. @throws GradCamError ERR_MODEL_CORRUPT */
  text(name: string): string {
    const entry = this.#entries.get(name)
    if (!entry) throw damaged(this.range.source.name, `the archive has no record '${name}'`)
    if (entry.size > longestText) throw damaged(this.range.source.name, `its record '${name}' is too large for a text`)
    const range = this.#packedRange(name, entry)
    const bytes = entry.compressed ? this.#inflated(name, readRange(range), entry.size) : readRange(range)
    if (bytes.length !== entry.size || crc32(bytes) !== entry.crc32)
      throw damaged(this.range.source.name, `its record '${name}' is damaged`)
    return bytes.toString('utf8')
  }

  #inflated(name: string, bytes: Buffer, size: number): Buffer {
    try {
      return inflateRawSync(bytes, { maxOutputLength: Math.max(size, 1) })
    } catch (cause) {
      throw damaged(this.range.source.name, `its record '${name}' cannot be unpacked`, cause)
    }
  }
}

/** Sizes that do not fit into 32 bits stand in ZIP64's extra field, in this order. */
function wideSizes(extra: Buffer, sizes: [number, number, number]): [number, number, number] {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue
    let value = at + 4
    return sizes.map((size) => {
      if (size !== fits32) return size
      value += 8
      return Number(extra.readBigUInt64LE(value - 8))
    }) as [number, number, number]
  }
  return sizes
}
