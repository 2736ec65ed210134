import type { ByteSource } from './byte-source.js'
import { decompressed, headerLength, localSize, type Reads, type ZipRecord, zipDirectory } from './zip-directory.js'

/** PyTorch aligns records to 64 bytes. */
const usualPadding = 128
/** Records are read together where they are not further apart, and together not larger, unless a single one is. */
const widestGap = 2 ** 17
const largestPiece = 2 ** 23

async function readLater<Result>(source: ByteSource, reads: Reads<Result>): Promise<Result> {
  let step = reads.next()
  while (!step.done) step = reads.next(await source.readLater(...step.value))
  return step.value
}

/** The directory of the archive that a file is, without holding up the event loop. Throws {@link Malformed}. */
export const readZipDirectory = (source: ByteSource): Promise<ZipRecord[]> =>
  readLater(source, zipDirectory(source.size))

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
    const piece = await source.readLater(start, end - start)
    for (; first < last; first++) {
      const record = ordered[first] as ZipRecord
      yield [record, await readRecord(source, record, piece.subarray(record.offset - start))]
    }
  }
}

/** How long a record is with its header as a rule: the directory says all but how long the padding is. */
function expectedLength({ name, compressedSize }: ZipRecord): number {
  return localSize + Buffer.byteLength(name) + usualPadding + compressedSize
}

/** @param piece what was read of the file from the record's header on */
async function readRecord(source: ByteSource, record: ZipRecord, piece: Buffer): Promise<Buffer> {
  const start = headerLength(record, piece, source.size)
  const end = start + record.compressedSize
  const bytes =
    end <= piece.length
      ? piece.subarray(start, end)
      : await source.readLater(record.offset + start, record.compressedSize)
  return decompressed(record, bytes)
}
