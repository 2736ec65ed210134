import { createHash, webcrypto } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'

/** Bytes that are hashed on the event loop: about a millisecond's work. */
const hashedAtOnce = 1 << 20

/** SHA-256 in hexadecimal digits; of many bytes computed on a thread of libuv's pool. */
export async function digest(bytes: Uint8Array): Promise<string> {
  if (bytes.byteLength <= hashedAtOnce) return createHash('sha256').update(bytes).digest('hex')
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)).toString('hex')
}

/** The same of a file, read piece by piece. Throws the errors of the system. */
export async function digestFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
