import type { GetObjectCommandOutput, S3ServiceException } from '@aws-sdk/client-s3'
import type { FileHandle } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { openStorage, type Storage } from './client.js'
import { folderUrl, readObjectUrl, type ObjectAddress } from './object-url.js'
import { isConflict, isMissing, storageError } from './storage-error.js'
import { putInParts } from './put-in-parts.js'

/** An object as a listing or a look at it tells. */
export interface ObjectFacts {
  readonly bytes: number
  /** When it was written, in milliseconds since 1970. */
  readonly modified: number
}

/** An object that was listed. */
export interface ListedObject extends ObjectFacts {
  /** Its name below the folder. */
  readonly name: string
}

/** Under which condition an object is written: where there is none, or where it is still the one with that tag. */
export interface PutOptions {
  readonly ifNone?: boolean
  readonly ifTag?: string
}

/** Objects that are removed in one request, of which the protocol allows no more. */
const removedAtOnce = 1000

/**
 * The objects of a bucket whose keys begin with that of a folder. An object appears whole or not at all: that is what the protocol
 * says of every write.
 *
 * Methods throw ERR_TOOL_MISSING, and ERR_STORAGE where the storage cannot be reached or refuses.
 */
export class BucketFolder {
  readonly url: string
  readonly #at: ObjectAddress

  constructor(url: string) {
    this.url = folderUrl(url)
    this.#at = readObjectUrl(this.url)
  }

  #address(name: string): ObjectAddress {
    return { bucket: this.#at.bucket, key: `${this.#at.key}${name}` }
  }

  async #ask<Answer>(
    name: string,
    doing: string,
    ask: (storage: Storage, to: { readonly Bucket: string; readonly Key: string }) => Promise<Answer>,
  ): Promise<Answer> {
    const { bucket, key } = this.#address(name)
    const storage = await openStorage()
    try {
      return await ask(storage, { Bucket: bucket, Key: key })
    } catch (error) {
      if (isMissing(error) || isConflict(error)) throw error
      throw storageError({ bucket, key }, doing, error)
    }
  }

  /** With its tag; null where the object does not exist. */
  async look(name: string): Promise<(ObjectFacts & { readonly tag: string }) | null> {
    return await this.#ask(name, 'cannot be looked at', async ({ client, sdk }, to) => {
      const found = await client.send(new sdk.HeadObjectCommand(to))
      return { ...factsOf(found), tag: found.ETag ?? '' }
    }).catch(nullIfMissing)
  }

  /** The bytes of an object, with its tag; null where the object does not exist. */
  async read(name: string): Promise<(ObjectFacts & { readonly content: Uint8Array; readonly tag: string }) | null> {
    return await this.#ask(name, 'cannot be read', async ({ client, sdk }, to) => {
      const found = await client.send(new sdk.GetObjectCommand(to))
      const content = await (found.Body as NonNullable<GetObjectCommandOutput['Body']>).transformToByteArray()
      return { ...factsOf(found), content, tag: found.ETag ?? '' }
    }).catch(nullIfMissing)
  }

  async readText(name: string): Promise<string | null> {
    const found = await this.read(name)
    return found && Buffer.from(found.content).toString()
  }

  /** The bytes piece by piece; null where the object does not exist, or is another one than that with the tag. */
  async stream(name: string, tag?: string): Promise<Readable | null> {
    const condition = tag === undefined ? {} : { IfMatch: tag }
    return await this.#ask(name, 'cannot be read', async ({ client, sdk }, to) => {
      const { Body } = await client.send(new sdk.GetObjectCommand({ ...to, ...condition }))
      return Body as Readable
    })
      .catch(nullIfConflict)
      .catch(nullIfMissing)
  }

  /** All bytes, written piece by piece to a file that is open; false where {@link stream} gives null. */
  async copyTo(name: string, file: FileHandle, tag?: string): Promise<boolean> {
    const stream = await this.stream(name, tag)
    if (!stream) return false
    let failure: unknown
    stream.once('error', (error) => (failure = error))
    try {
      for await (const piece of stream) await file.writeFile(piece as Uint8Array)
      return true
    } catch (error) {
      throw failure ? storageError(this.#address(name), 'cannot be read', failure) : error
    }
  }

  /** The lines of an object, of which no more than some are in memory; none where the object does not exist. */
  async *lines(name: string): AsyncGenerator<string, undefined> {
    const stream = await this.stream(name)
    if (!stream) return
    let failure: unknown
    const lines = createInterface({ input: stream, crlfDelay: Infinity })
    stream.once('error', (error) => {
      failure = error
      lines.close() // readline does not report the errors of its stream
    })
    try {
      yield* lines
    } finally {
      stream.destroy()
    }
    if (failure) throw storageError(this.#address(name), 'cannot be read', failure)
  }

  /**
   * Writes an object, a large one in several parts.
   *
   * @returns its tag; null where the condition is not met, and nothing is written
   */
  async put(name: string, content: Uint8Array | string, options: PutOptions = {}): Promise<string | null> {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content
    const condition = {
      ...(options.ifNone && { IfNoneMatch: '*' }),
      ...(options.ifTag !== undefined && { IfMatch: options.ifTag }),
    }
    return await this.#ask(name, 'cannot be written', (storage, to) =>
      putInParts(storage, { ...to, ...condition }, [bytes]),
    ).catch(nullIfConflict)
  }

  /** Writes an object of pieces, of which no more than a part is in memory. */
  async putPieces(name: string, pieces: AsyncIterable<string>): Promise<void> {
    await this.#ask(name, 'cannot be written', (storage, to) => putInParts(storage, to, pieces))
  }

  /**
   * The objects whose names begin so, in the order of their keys, page by page.
   *
   * @param after only those whose names come after it
   */
  async *list(prefix = '', after?: string): AsyncGenerator<ListedObject, undefined> {
    const { bucket: Bucket, key } = this.#at
    let ContinuationToken: string | undefined
    do {
      const page = await this.#ask(prefix, 'cannot be listed', ({ client, sdk }) =>
        client.send(
          new sdk.ListObjectsV2Command({
            Bucket,
            Prefix: `${key}${prefix}`,
            ...(ContinuationToken !== undefined && { ContinuationToken }),
            ...(after !== undefined && { StartAfter: `${key}${after}` }),
          }),
        ),
      )
      for (const one of page.Contents ?? [])
        yield {
          name: (one.Key as string).slice(key.length),
          bytes: one.Size ?? 0,
          modified: one.LastModified?.getTime() ?? 0,
        }
      ContinuationToken = page.NextContinuationToken
    } while (ContinuationToken !== undefined)
  }

  /** Removes objects; those that do not exist, too. */
  async remove(names: Iterable<string> | AsyncIterable<string>): Promise<void> {
    let group: string[] = []
    for await (const name of names) {
      group.push(name)
      if (group.length < removedAtOnce) continue
      await this.#removeGroup(group)
      group = []
    }
    if (group.length > 0) await this.#removeGroup(group)
  }

  async #removeGroup(names: readonly string[]): Promise<void> {
    const Objects = names.map((name) => ({ Key: this.#address(name).key }))
    const { Errors = [] } = await this.#ask(names[0] as string, 'cannot be removed', ({ client, sdk }) =>
      client.send(new sdk.DeleteObjectsCommand({ Bucket: this.#at.bucket, Delete: { Objects, Quiet: true } })),
    )
    const [first] = Errors
    if (first)
      throw storageError({ bucket: this.#at.bucket, key: first.Key ?? '' }, 'cannot be removed', {
        name: first.Code,
        message: first.Message ?? '',
      })
  }
}

function factsOf({ ContentLength, LastModified }: Pick<GetObjectCommandOutput, 'ContentLength' | 'LastModified'>) {
  return { bytes: ContentLength ?? 0, modified: LastModified?.getTime() ?? 0 }
}

function nullIfMissing(error: S3ServiceException): null {
  if (isMissing(error)) return null
  throw error
}

function nullIfConflict(error: unknown): null {
  if (isConflict(error)) return null
  throw error
}
