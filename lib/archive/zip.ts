import { crc32 } from 'node:zlib'
import { damaged, guarded, readRange, type ByteRange } from './byte-source.js'
import { decompressed, headerLength, localSize, zipDirectory, type ZipRecord } from './zip-directory.js'

/** The longest text that is read: more than any program's graph has. */
const longestText = 128 * 2 ** 20
/** A graph is compressed to a thirtieth at best. What says that it is longer is there to fill the memory. */
const mostOfCompressed = 100

/**
 * The records of a zip archive by their names, each read when it is asked for. A record's bytes stay in the file, so that the
 * addon can read them from there.
 */
export class Zip {
  readonly #records: ReadonlyMap<string, ZipRecord>

  /** @throws GradCamError ERR_MODEL_CORRUPT */
  constructor(private readonly range: ByteRange) {
    this.#records = guarded(range.source.name, () => this.#readDirectory())
  }

  get names(): string[] {
    return [...this.#records.keys()]
  }

  has(name: string): boolean {
    return this.#records.has(name)
  }

  #damaged(what: string) {
    return damaged(this.range.source.name, what)
  }

  #read(at: number, length: number): Buffer {
    if (at + length > this.range.length) throw this.#damaged('a record reaches past the end of the archive')
    return this.range.source.read(this.range.position + at, length)
  }

  #readDirectory(): Map<string, ZipRecord> {
    const reads = zipDirectory(this.range.length)
    let step = reads.next()
    while (!step.done) step = reads.next(this.#read(...step.value))
    const records = new Map<string, ZipRecord>()
    for (const record of step.value) {
      if (records.has(record.name)) throw this.#damaged(`the archive holds '${record.name}' twice`)
      records.set(record.name, record)
    }
    return records
  }

  #find(name: string): ZipRecord {
    const record = this.#records.get(name)
    if (!record) throw this.#damaged(`the archive has no record '${name}'`)
    return record
  }

  #rangeOf(record: ZipRecord): ByteRange {
    const { offset, compressedSize, crc32: crc } = record
    const { source, position, length } = this.range
    const start = guarded(source.name, () => headerLength(record, this.#read(offset, localSize), length))
    return { source, position: position + offset + start, length: compressedSize, crc32: crc }
  }

  /**
   * Where the bytes of a record are.
   *
   * @throws GradCamError ERR_MODEL_CORRUPT where there is none, or where it is compressed, which PyTorch never does
   */
  record(name: string): ByteRange {
    const record = this.#find(name)
    if (record.method !== 0) throw this.#damaged(`its record '${name}' is compressed, which PyTorch's files are not`)
    return this.#rangeOf(record)
  }

  /** A record as text. @throws GradCamError ERR_MODEL_CORRUPT */
  text(name: string): string {
    const record = this.#find(name)
    if (record.size > longestText || record.size > record.compressedSize * mostOfCompressed)
      throw this.#damaged(`its record '${name}' is too large for a text`)
    const bytes = guarded(this.range.source.name, () => decompressed(record, readRange(this.#rangeOf(record))))
    if (crc32(bytes) !== record.crc32) throw this.#damaged(`its record '${name}' is damaged`)
    return bytes.toString('utf8')
  }
}
