import { inflateRawSync } from 'node:zlib'
import type { ByteSource } from './byte-source.js'
import { CutShort, Malformed } from './malformed.js'

/** A record of a zip archive, as its directory describes it. */
export interface ZipRecord {
  /** With the name of the archive's folder. */
  readonly name: string
  /** 0: stored, 8: deflated. */
  readonly method: number
  readonly compressedSize: number
  readonly size: number
  /** Of its local header in the file. */
  readonly offset: number
}

const endSize = 22
const end64LocatorSize = 20
const end64Size = 56
const entrySize = 46
const localSize = 30
const longestComment = 0xffff
/** PyTorch aligns records to 64 bytes. */
const usualPadding = 128
/** Records are read together where they are not further apart, and together not larger, unless a single one is. */
const widestGap = 2 ** 17
const largestPiece = 2 ** 23
/** Deflate makes at most 1032 bytes of one. */
const mostInflation = 1032

/**
 * Reads the directory of a zip archive and checks that every record lies within the file. Nothing of the records is read.
 *
 * Throws {@link Malformed}.
 */
export async function readZipDirectory(source: ByteSource): Promise<ZipRecord[]> {
  const end = await findEnd(source)
  const { entries, size, offset } = (await readEnd64(source, end)) ?? (await readEnd(source, end))
  if (offset + size > source.size) throw new CutShort('the directory of the archive lies outside the file')
  if (entries * entrySize > size) throw new Malformed('the directory of the archive is shorter than its entries')
  const directory = await source.read(offset, size)
  const records: ZipRecord[] = []
  for (let at = 0; records.length < entries;) {
    const [record, length] = readEntry(directory, at)
    if (record.offset + localSize + record.compressedSize > source.size)
      throw new Malformed(`record ${show(record.name)} lies outside the file`)
    records.push(record)
    at += length
  }
  return records
}

/**
 * Reads records, in pieces of the file that hold many of them: PyTorch writes hundreds of small ones side by side.
 *
 * Throws {@link Malformed}, also while the result is iterated.
 */
export async function* readZipRecords(
  source: ByteSource,
  records: readonly ZipRecord[],
): AsyncGenerator<readonly [record: ZipRecord, bytes: Buffer]> {
  const ordered = records.toSorted((a, b) => a.offset - b.offset)
  for (let first = 0; first < ordered.length;) {
    const start = (ordered[first] as ZipRecord).offset
    let end = start
    let last = first
    for (; last < ordered.length; last++) {
      const record = ordered[last] as ZipRecord
      const recordEnd = Math.min(source.size, record.offset + expectedLength(record))
      if (last > first && (record.offset > end + widestGap || recordEnd > start + largestPiece)) break
      end = Math.max(end, recordEnd)
    }
    const piece = await source.read(start, end - start)
    for (; first < last; first++) {
      const record = ordered[first] as ZipRecord
      yield [record, await readZipRecord(source, record, piece.subarray(record.offset - start))]
    }
  }
}

/** How long a record is with its header as a rule: the directory says all but how long the padding is. */
function expectedLength({ name, compressedSize }: ZipRecord): number {
  return localSize + Buffer.byteLength(name) + usualPadding + compressedSize
}

/** @param piece what was read of the file from the record's header on */
async function readZipRecord(source: ByteSource, record: ZipRecord, piece: Buffer): Promise<Buffer> {
  const start = localSize + piece.readUInt16LE(26) + piece.readUInt16LE(28)
  if (piece.readUInt32LE(0) !== 0x04034b50 || record.offset + start + record.compressedSize > source.size)
    throw new Malformed(`record ${show(record.name)} is not where the directory says`)
  const end = start + record.compressedSize
  const bytes =
    end <= piece.length ? piece.subarray(start, end) : await source.read(record.offset + start, record.compressedSize)
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

/** The last signature of an end record counts, as for LibTorch. */
async function findEnd(source: ByteSource): Promise<number> {
  const length = Math.min(source.size, endSize + longestComment)
  const tail = await source.read(source.size - length, length)
  const at = tail.subarray(0, Math.max(0, length - endSize + 4)).lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]))
  if (at < 0) throw new CutShort('the archive has no directory, so its end is missing')
  return source.size - length + at
}

interface End {
  readonly entries: number
  readonly size: number
  readonly offset: number
}

async function readEnd(source: ByteSource, at: number): Promise<End> {
  const end = await source.read(at, endSize)
  return { entries: end.readUInt16LE(10), size: end.readUInt32LE(12), offset: end.readUInt32LE(16) }
}

async function readEnd64(source: ByteSource, endAt: number): Promise<End | null> {
  if (endAt < end64LocatorSize + end64Size) return null
  const locator = await source.read(endAt - end64LocatorSize, end64LocatorSize)
  if (locator.readUInt32LE(0) !== 0x07064b50) return null
  const at = toNumber(locator.readBigUInt64LE(8))
  if (at + end64Size > source.size) throw new CutShort('the directory of the archive lies outside the file')
  const end = await source.read(at, end64Size)
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
  const record = { name, method: directory.readUInt16LE(at + 10), ...sizes, ...sizes64(sizes, extra, name) }
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
