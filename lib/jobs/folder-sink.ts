import type { BatchFile } from '../batch/encode.js'
import { BatchExplanation } from '../batch/result.js'
import { expect, invalid, isInstance, show } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { fileOf, isBelow, isPartialName, partialFolder } from './file-names.js'
import { digest } from '../base/digest.js'
import { FileWriter, isDiskFailure } from './file-writer.js'
import type { ResultSink } from './job.js'
import type { WrittenFile } from './job-line.js'
import type { JobSpec } from './job-spec.js'

/**
 * Writes the files of results into a folder: for the input `sub/a.jpg` e.g. `sub/a.jpg.overlay.jpg`. Each file is written
 * completely or not at all.
 */
export class FolderSink implements ResultSink {
  readonly #writer: FileWriter
  #spec: Pick<JobSpec, 'write' | 'alpha'> = { write: [], alpha: 0.5 }

  /**
   * @param folder is made where it does not exist
   * @param options `partial` names the folder in it where incomplete files are: a sink that others write beside needs its own
   */
  constructor(folder: string, options: { readonly partial?: string } = {}) {
    const { partial } = expect.options(options)
    if (partial !== undefined && !isPartialName(partial))
      throw invalid('partial', `a name that begins with ${partialFolder}`, partial)
    this.#writer = new FileWriter(expect.path('folder', folder), partial)
  }

  /** @throws GradCamError ERR_IMAGE_WRITE */
  async open(spec: JobSpec): Promise<void> {
    this.#spec = readSinkSpec(spec)
    await this.#writer.start()
  }

  /**
   * @returns by kind the path of each file, relative to the folder, its size and its digest
   * @throws GradCamError ERR_IMAGE_WRITE, ERR_INVALID_ARGUMENT for an id that leads out of the folder
   */
  async write(result: BatchExplanation<unknown>): Promise<Readonly<Record<string, WrittenFile>>> {
    if (!isInstance(result, BatchExplanation)) throw invalid('result', 'a BatchExplanation', result)
    checkId(result.id)
    const files: Record<string, WrittenFile> = {}
    for (const kind of this.#spec.write) {
      const name = fileOf(result.id, kind)
      const bytes = await result.encode(kind, { alpha: this.#spec.alpha })
      await this.#writer.write(name, bytes)
      files[kind] = { name, bytes: bytes.length, sha256: await digest(bytes) }
    }
    return files
  }

  isFatal(error: unknown): boolean {
    return isDiskFailure(error)
  }

  async close(): Promise<void> {
    await this.#writer.end().catch(() => {}) // what stays there is removed by the next run
  }
}

/** What a sink requires of a specification. */
export function readSinkSpec(spec: JobSpec): Pick<JobSpec, 'write' | 'alpha'> {
  const { write, alpha } = expect.options(spec, 'spec')
  return { write: expect.list('spec.write', write, isString, 'kinds of files'), alpha }
}

const isString = (value: unknown): value is BatchFile => typeof value === 'string'

/** Ids of {@link FileSource} are safe; those of another source may come from anywhere. */
export function checkId(id: string): void {
  if (isBelow(id)) return
  throw new GradCamError('ERR_INVALID_ARGUMENT', `The id ${show(id)} is not a path below the folder of the results.`)
}
