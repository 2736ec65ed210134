import { inflateRawSync } from 'node:zlib'
import { CutShort, Malformed } from './malformed.js'

/** A record of a zip archive, as its directory describes it. */
export interface ZipRecord {
  /** With the name of the archive's folder. */
  readonly name: string
  /** 0: stored, 8: deflated. */
  readonly method: number
  readonly compressedSize: number
  readonly size: number
  /** Of its local header in the archive. */
  readonly offset: number
  /** Of its bytes before they were compressed. */
  readonly crc32: number
}

/** Says which parts of an archive it reads, one after another, and is given them: now or later, as the caller reads. */
export type Reads<Result> = Generator<readonly [at: number, length: number], Result, Buffer>

const endSize = 22
const end64LocatorSize = 20
const end64Size = 56
const entrySize = 46
/** A header before the bytes of each record, without its name and extra field. */
export const localSize = 30
const longestComment = 0xffff
/** Deflate makes at most 1032 bytes of one. */
const mostInflation = 1032

/**
 * Reads the directory of a zip archive of `size` bytes, ZIP64 included, and checks that every record lies within the archive.
 * Nothing of the records is read.
 *
 * Throws {@link Malformed}.
 */
export function* zipDirectory(archiveSize: number): Reads<ZipRecord[]> {
  const tailSize = Math.min(archiveSize, endSize + longestComment + end64LocatorSize)
  const tail = yield [archiveSize - tailSize, tailSize]
  const end = findEnd(tail)
  const { entries, size, offset } =
    (yield* readEnd64(tail.subarray(0, end), archiveSize)) ?? readEnd(tail.subarray(end))
  if (offset + size > archiveSize) throw new CutShort('the directory of the archive lies outside the file')
  if (entries * entrySize > size) throw new Malformed('the directory of the archive is shorter than its entries')
  const directory = yield [offset, size]
  const records: ZipRecord[] = []
  for (let at = 0; records.length < entries;) {
    const [record, length] = readEntry(directory, at)
    if (record.offset + localSize + record.compressedSize > archiveSize)
      throw new Malformed(`record ${show(record.name)} lies outside the file`)
    records.push(record)
    at += length
  }
  return records
}

/**
 * How far after its header's start the bytes of a record begin.
 *
 * @param header the first {@link localSize} bytes from `record.offset` on, or more
 *
 * Throws {@link Malformed}.
 */
export function headerLength(record: ZipRecord, header: Buffer, archiveSize: number): number {
  const length = localSize + header.readUInt16LE(26) + header.readUInt16LE(28)
  if (header.readUInt32LE(0) !== 0x04034b50 || record.offset + length + record.compressedSize > archiveSize)
    throw new Malformed(`record ${show(record.name)} is not where the directory says`)
  return length
}

/**
 * The bytes of a record before they were compressed.
 *
 * Throws {@link Malformed}.
 */
export function decompressed(record: ZipRecord, bytes: Buffer): Buffer {
  if (record.method === 0) return bytes
  try {
    const inflated = inflateRawSync(bytes, { maxOutputLength: Math.max(1, record.size) })
    if (inflated.byteLength === record.size) return inflated
  } catch {
    // The same as a wrong length.
  }
  throw new Malformed(
    `record ${show(record.name)} cannot be decompressed to the ${record.size} bytes that it should have`,
  )
}

/** Where the end record is: the last signature counts, as for LibTorch. */
function findEnd(tail: Buffer): number {
  const at = tail.subarray(0, Math.max(0, tail.length - endSize + 4)).lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]))
  if (at < 0) throw new CutShort('the archive has no directory, so its end is missing')
  return at
}

interface End {
  readonly entries: number
  readonly size: number
  readonly offset: number
}

function readEnd(end: Buffer): End {
  return { entries: end.readUInt16LE(10), size: end.readUInt32LE(12), offset: end.readUInt32LE(16) }
}

/**
 * Null where the archive has no end record of ZIP64. Its locator is right before the end record and nowhere else: a stored
 * record may be an archive with an end of its own.
 */
function* readEnd64(beforeEnd: Buffer, archiveSize: number): Reads<End | null> {
  if (beforeEnd.length < end64LocatorSize) return null
  const locator = beforeEnd.subarray(-end64LocatorSize)
  if (locator.readUInt32LE(0) !== 0x07064b50) return null
  const at = toNumber(locator.readBigUInt64LE(8))
  if (at + end64Size > archiveSize) throw new CutShort('the directory of the archive lies outside the file')
  const end = yield [at, end64Size]
  if (end.readUInt32LE(0) !== 0x06064b50) return null
  return {
    entries: toNumber(end.readBigUInt64LE(32)),
    size: toNumber(end.readBigUInt64LE(40)),
    offset: toNumber(end.readBigUInt64LE(48)),
  }
}

function readEntry(directory: Buffer, at: number): [record: ZipRecord, length: number] {
  if (at + entrySize > directory.length || directory.readUInt32LE(at) !== 0x02014b50)
    throw new Malformed('the directory of the archive is damaged')
  const nameLength = directory.readUInt16LE(at + 28)
  const extraLength = directory.readUInt16LE(at + 30)
  const length = entrySize + nameLength + extraLength + directory.readUInt16LE(at + 32)
  if (at + length > directory.length) throw new Malformed('the directory of the archive is damaged')
  const nameAt = at + entrySize
  const name = directory.toString('utf8', nameAt, nameAt + nameLength)
  const extra = directory.subarray(nameAt + nameLength, nameAt + nameLength + extraLength)
  const sizes = {
    size: directory.readUInt32LE(at + 24),
    compressedSize: directory.readUInt32LE(at + 20),
    offset: directory.readUInt32LE(at + 42),
  }
  const record = {
    name,
    method: directory.readUInt16LE(at + 10),
    crc32: directory.readUInt32LE(at + 16),
    ...sizes,
    ...sizes64(sizes, extra, name),
  }
  if ((directory.readUInt16LE(at + 8) & 1) === 1) throw new Malformed(`record ${show(name)} is encrypted`)
  if (record.method === 0 ? record.size !== record.compressedSize : record.method !== 8)
    throw new Malformed(`record ${show(name)} is neither stored nor deflated`)
  if (record.size > record.compressedSize * mostInflation)
    throw new Malformed(`record ${show(name)} says that it is larger than it can be`)
  return [record, length]
}

/** The sizes that did not fit into 32 bits are in a field of their own, in this order. */
function sizes64(sizes: Readonly<Record<string, number>>, extra: Buffer, name: string): Record<string, number> {
  const large = Object.keys(sizes).filter((key) => sizes[key] === 0xffffffff)
  if (large.length === 0) return {}
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue
    const field = extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2))
    if (field.length < large.length * 8) break
    return Object.fromEntries(large.map((key, i) => [key, toNumber(field.readBigUInt64LE(i * 8))]))
  }
  throw new Malformed(`record ${show(name)} has no size`)
}

function toNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Malformed('the directory of the archive is damaged')
  return Number(value)
}

/** A name from the file in a message: on one line, and not longer than one. */
export function show(name: string): string {
  const text = JSON.stringify(name.length > 80 ? `${name.slice(0, 77)}...` : name)
  return `'${text.slice(1, -1)}'`
}
