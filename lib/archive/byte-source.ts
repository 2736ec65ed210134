import { closeSync, openSync, read as readFromDescriptor, readSync, statSync } from 'node:fs'
import { promisify } from 'node:util'
import { GradCamError } from '../base/errors.js'
import type { NodeBuffer } from '../base/platform-types.js'
import { Malformed } from './malformed.js'

const readAsynchronously = promisify(readFromDescriptor)

/** Where bytes are: the path of a file, or a buffer. */
export type Origin = string | Uint8Array

/** The bytes of a file that is being read, wherever they are: a file on disk, or a buffer of the caller. */
export interface ByteSource extends Disposable {
  /** How messages call it: the path in quotes, or "The buffer". */
  readonly name: string
  readonly size: number
  /** Where the addon reads the bytes itself: the path, or the buffer. */
  readonly origin: Origin
  /** The bytes from `at` on. Refuses a part that reaches past the end. */
  read(at: number, length: number): NodeBuffer
  /** The same, without holding up the event loop. */
  readLater(at: number, length: number): Promise<NodeBuffer>
}

/** A part of a file, e.g. one record of an archive. */
export interface ByteRange {
  readonly source: ByteSource
  readonly position: number
  readonly length: number
  /** The CRC-32 that the archive gives for the part, where it gives one. */
  readonly crc32?: number
}

/** The error of a file that is not what it says it is. */
export function damaged(name: string, what: string, cause?: unknown): GradCamError {
  return new GradCamError('ERR_MODEL_CORRUPT', `${name} cannot be read: ${what}.`, {
    remedy: 'It is incomplete or damaged: copy or export it again.',
    ...(cause !== undefined && { cause }),
  })
}

/** Runs a reader of a file that may lie: what is not of the form that it must have is a damaged file. */
export function guarded<Result>(name: string, read: () => Result): Result {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof Malformed) throw damaged(name, cause.message, cause)
    if (cause instanceof TypeError || cause instanceof RangeError)
      throw damaged(name, 'it holds something of a form that PyTorch does not write', cause)
    throw cause
  }
}

function checkPart({ name, size }: ByteSource, at: number, length: number): void {
  if (!(Number.isSafeInteger(at) && Number.isSafeInteger(length) && at >= 0 && length >= 0 && at + length <= size))
    throw damaged(name, `a part of it reaches past its end (${size} bytes)`)
}

class FileSource implements ByteSource {
  readonly name: string
  readonly size: number
  readonly #descriptor: number

  constructor(readonly origin: string) {
    this.name = `'${origin}'`
    const found = statSync(origin)
    // Opening a pipe would wait for its writer.
    if (!found.isFile()) throw new Error('it is not a file')
    this.#descriptor = openSync(origin, 'r')
    this.size = found.size
  }

  read(at: number, length: number): NodeBuffer {
    checkPart(this, at, length)
    const bytes = Buffer.allocUnsafe(length)
    for (let filled = 0; filled < length;) {
      const count = readSync(this.#descriptor, bytes, filled, length - filled, at + filled)
      if (count === 0) throw damaged(this.name, 'it was cut off while it was read')
      filled += count
    }
    return bytes
  }

  async readLater(at: number, length: number): Promise<NodeBuffer> {
    checkPart(this, at, length)
    const bytes = Buffer.allocUnsafe(length)
    for (let filled = 0; filled < length;) {
      const { bytesRead } = await readAsynchronously(this.#descriptor, bytes, filled, length - filled, at + filled)
      if (bytesRead === 0) throw damaged(this.name, 'it was cut off while it was read')
      filled += bytesRead
    }
    return bytes
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor)
  }
}

class BufferSource implements ByteSource {
  readonly name = 'The buffer'
  readonly size: number

  constructor(readonly origin: Uint8Array) {
    this.size = origin.byteLength
  }

  read(at: number, length: number): NodeBuffer {
    checkPart(this, at, length)
    return Buffer.from(this.origin.buffer, this.origin.byteOffset + at, length)
  }

  async readLater(at: number, length: number): Promise<NodeBuffer> {
    return this.read(at, length)
  }

  [Symbol.dispose](): void {}
}

/**
 * Opens a file by its path, or wraps the bytes of one.
 *
 * @throws GradCamError ERR_FILE_NOT_FOUND, ERR_FILE_UNREADABLE
 */
export function openBytes(origin: string | Uint8Array): ByteSource {
  if (typeof origin !== 'string') return new BufferSource(origin)
  try {
    return new FileSource(origin)
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const missing = code === 'ENOENT' || code === 'ENOTDIR'
    throw new GradCamError(
      missing ? 'ERR_FILE_NOT_FOUND' : 'ERR_FILE_UNREADABLE',
      `'${origin}' ${missing ? 'does not exist' : `cannot be opened (${code ?? message})`}.`,
      { remedy: 'Check the path; a relative one starts at the working directory of the process.', cause },
    )
  }
}

/** The same; null for what cannot be opened, of which whoever reads it next says why. */
export function openIfReadable(origin: string | Uint8Array): ByteSource | null {
  try {
    return openBytes(origin)
  } catch (error) {
    if (error instanceof GradCamError) return null
    throw error
  }
}

/** All bytes of a part. */
export const readRange = ({ source, position, length }: ByteRange): NodeBuffer => source.read(position, length)
