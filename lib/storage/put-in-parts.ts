import type { CompletedPart, PutObjectCommandInput } from '@aws-sdk/client-s3'
import type { Storage } from './client.js'

/** Bytes of a part: the protocol allows 10,000 parts, and none but the last below 5 MiB. */
const partSize = 16 * 2 ** 20

type Target = Required<Pick<PutObjectCommandInput, 'Bucket' | 'Key'>> &
  Pick<PutObjectCommandInput, 'IfNoneMatch' | 'IfMatch'>

/**
 * Writes an object: in one request where it is small, else in parts, which become an object when all are there.
 *
 * @returns its tag
 */
export async function putInParts(
  { client, sdk }: Storage,
  { IfNoneMatch, IfMatch, ...to }: Target,
  pieces: AsyncIterable<string> | readonly Uint8Array[],
): Promise<string> {
  const condition = { ...(IfNoneMatch && { IfNoneMatch }), ...(IfMatch !== undefined && { IfMatch }) }
  let UploadId: string | undefined
  const done: CompletedPart[] = []
  try {
    for await (const { bytes, isLast } of inParts(pieces)) {
      if (isLast && done.length === 0) {
        const { ETag = '' } = await client.send(new sdk.PutObjectCommand({ ...to, ...condition, Body: bytes }))
        return ETag
      }
      UploadId ??= (await client.send(new sdk.CreateMultipartUploadCommand(to))).UploadId as string
      const PartNumber = done.length + 1
      const part = await client.send(new sdk.UploadPartCommand({ ...to, UploadId, PartNumber, Body: bytes }))
      done.push({ ...part, PartNumber })
    }
    const { ETag = '' } = await client.send(
      new sdk.CompleteMultipartUploadCommand({ ...to, ...condition, UploadId, MultipartUpload: { Parts: done } }),
    )
    return ETag
  } catch (error) {
    // Parts cost money until they are given up.
    if (UploadId !== undefined)
      await client.send(new sdk.AbortMultipartUploadCommand({ ...to, UploadId })).catch(() => {})
    throw error
  }
}

/** The same bytes in parts of one size; the last may be smaller. */
async function* inParts(
  pieces: AsyncIterable<string> | readonly Uint8Array[],
): AsyncGenerator<{ readonly bytes: Uint8Array; readonly isLast: boolean }, undefined> {
  let held: Buffer[] = []
  let size = 0
  for await (const piece of pieces) {
    held.push(
      typeof piece === 'string' ? Buffer.from(piece) : Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength),
    )
    size += (held.at(-1) as Buffer).length
    if (size <= partSize) continue
    let all = Buffer.concat(held)
    for (; all.length > partSize; all = all.subarray(partSize))
      yield { bytes: all.subarray(0, partSize), isLast: false }
    held = [all]
    size = all.length
  }
  yield { bytes: Buffer.concat(held), isLast: true }
}
