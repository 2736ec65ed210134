import { expect, invalid } from '../base/check.js'
import type { BatchExplanation } from '../batch/result.js'
import { BucketFolder } from '../storage/bucket-folder.js'
import { isObjectUrl } from '../storage/object-url.js'
import { isStorageFailure } from '../storage/storage-error.js'
import { FolderSink } from './folder-sink.js'
import type { ResultSink } from './job.js'
import type { WrittenFile } from './job-line.js'
import type { JobSpec } from './job-spec.js'
import { readSinkSpec, writeResult, type SinkSpec } from './write-result.js'

/**
 * Writes the files of results as objects of a storage: for the input `sub/a.jpg` e.g. `s3://bucket/prefix/sub/a.jpg.overlay.jpg`.
 * An object appears whole or not at all.
 */
export class BucketSink implements ResultSink {
  readonly #folder: BucketFolder
  #spec: SinkSpec = { write: [], alpha: 0.5 }

  /**
   * @param url s3://bucket/prefix: see {@link BucketStore}
   * @throws GradCamError ERR_INVALID_ARGUMENT
   */
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
    return await writeResult(result, this.#spec, (name, bytes) => this.#folder.put(name, bytes))
  }

  isFatal(error: unknown): boolean {
    return isStorageFailure(error)
  }
}

/** The sink of a folder of results, on a disk or in a storage. */
export function sinkFor(out: string, options: { readonly partial?: string } = {}): ResultSink {
  return isObjectUrl(expect.string('out', out)) ? new BucketSink(out) : new FolderSink(out, options)
}
