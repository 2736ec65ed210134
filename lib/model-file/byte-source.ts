import { open, stat } from 'node:fs/promises'

/** Bytes that are read in pieces: of a file, or of a buffer. */
export interface ByteSource {
  readonly size: number
  /** The bytes from `offset` on; throws a RangeError where there are fewer than `length`. */
  read(offset: number, length: number): Promise<Buffer>
  close(): Promise<void>
}

/** Opens a file for reading. Throws what the system says where it cannot be opened; null for what is not a file, as a pipe. */
export async function openFile(path: string): Promise<ByteSource | null> {
  if (!(await stat(path)).isFile()) return null // opening a pipe may wait for ever
  const file = await open(path)
  const { size } = await file.stat()
  return {
    size,
    read: async (offset, length) => {
      checkRange(size, offset, length)
      const bytes = Buffer.allocUnsafe(length)
      for (let done = 0; done < length;) {
        const { bytesRead } = await file.read(bytes, done, length - done, offset + done)
        if (bytesRead === 0) throw new RangeError('the file has become shorter')
        done += bytesRead
      }
      return bytes
    },
    close: () => file.close(),
  }
}

export function bytesOf(bytes: Uint8Array): ByteSource {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return {
    size: all.byteLength,
    read: async (offset, length) => {
      checkRange(all.byteLength, offset, length)
      return all.subarray(offset, offset + length)
    },
    close: async () => {},
  }
}

function checkRange(size: number, offset: number, length: number): void {
  if (!(offset >= 0 && length >= 0 && offset + length <= size))
    throw new RangeError(`bytes ${offset} to ${offset + length} of ${size} are not there`)
}
