import { digest } from '../base/digest.js'
import { expect, invalid, isInstance } from '../base/check.js'
import { BatchExplanation } from '../batch/result.js'
import { BucketFolder } from '../storage/bucket-folder.js'
import { isObjectUrl } from '../storage/object-url.js'
import { isStorageFailure } from '../storage/storage-error.js'
import { fileOf } from './file-names.js'
import { checkId, FolderSink, readSinkSpec } from './folder-sink.js'
import type { ResultSink } from './job.js'
import type { WrittenFile } from './job-line.js'
import type { JobSpec } from './job-spec.js'

/**
 * Writes the files of results as objects of a storage: for the input `sub/a.jpg` e.g. `s3://bucket/prefix/sub/a.jpg.overlay.jpg`.
 * An object appears whole or not at all.
 */
export class BucketSink implements ResultSink {
  readonly #folder: BucketFolder
  #spec: Pick<JobSpec, 'write' | 'alpha'> = { write: [], alpha: 0.5 }

  /** @param url s3://bucket/prefix */
  constructor(url: string) {
    if (!isObjectUrl(url)) throw invalid('url', 'an address such as s3://bucket/prefix', url)
    this.#folder = new BucketFolder(url)
  }

  async open(spec: JobSpec): Promise<void> {
    this.#spec = readSinkSpec(spec)
  }

  /**
   * @returns by kind the name of each object below the prefix, its size and its digest
   * @throws GradCamError ERR_STORAGE, ERR_TOOL_MISSING, ERR_INVALID_ARGUMENT for an id that is not a path
   */
  async write(result: BatchExplanation<unknown>): Promise<Readonly<Record<string, WrittenFile>>> {
    if (!isInstance(result, BatchExplanation)) throw invalid('result', 'a BatchExplanation', result)
    checkId(result.id)
    const files: Record<string, WrittenFile> = {}
    for (const kind of this.#spec.write) {
      const name = fileOf(result.id, kind)
      const bytes = await result.encode(kind, { alpha: this.#spec.alpha })
      await this.#folder.put(name, bytes)
      files[kind] = { name, bytes: bytes.length, sha256: await digest(bytes) }
    }
    return files
  }

  isFatal(error: unknown): boolean {
    return isStorageFailure(error)
  }
}

/** The sink of a folder of results, on a disk or in a storage. */
export function sinkFor(out: string, options: { readonly partial?: string } = {}): ResultSink {
  return isObjectUrl(expect.string('out', out)) ? new BucketSink(out) : new FolderSink(out, options)
}
