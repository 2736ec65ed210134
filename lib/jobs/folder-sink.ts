import { isAbsolute, sep } from 'node:path'
import type { BatchFile } from '../batch/encode.js'
import { BatchExplanation } from '../batch/result.js'
import { expect, invalid, isInstance, show } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { fileOf } from './file-names.js'
import { FileWriter, isDiskFailure } from './file-writer.js'
import type { ResultSink } from './job.js'
import type { JobSpec } from './job-spec.js'

/**
 * Writes the files of results into a folder: for the input `sub/a.jpg` e.g. `sub/a.jpg.overlay.jpg`. Each file is written
 * completely or not at all.
 */
export class FolderSink implements ResultSink {
  readonly #writer: FileWriter
  #spec: Pick<JobSpec, 'write' | 'alpha'> = { write: [], alpha: 0.5 }

  /** @param folder is made where it does not exist */
  constructor(folder: string) {
    this.#writer = new FileWriter(expect.path('folder', folder))
  }

  /** @throws GradCamError ERR_IMAGE_WRITE */
  async open(spec: JobSpec): Promise<void> {
    const { write, alpha } = expect.options(spec, 'spec')
    this.#spec = { write: expect.list('spec.write', write, isString, 'kinds of files'), alpha }
    await this.#writer.start()
  }

  /**
   * @returns the path of each file, relative to the folder, by kind
   * @throws GradCamError ERR_IMAGE_WRITE, ERR_INVALID_ARGUMENT for an id that leads out of the folder
   */
  async write(result: BatchExplanation<unknown>): Promise<Readonly<Record<string, string>>> {
    if (!isInstance(result, BatchExplanation)) throw invalid('result', 'a BatchExplanation', result)
    checkId(result.id)
    const files: Record<string, string> = {}
    for (const kind of this.#spec.write) {
      const file = fileOf(result.id, kind)
      await this.#writer.write(file, await result.encode(kind, { alpha: this.#spec.alpha }))
      files[kind] = file
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

const isString = (value: unknown): value is BatchFile => typeof value === 'string'

/** Ids of {@link FileSource} are safe; those of another source may come from anywhere. */
function checkId(id: string): void {
  const parts = id.split(sep === '\\' ? /[/\\]/ : '/')
  if (id !== '' && !isAbsolute(id) && !parts.includes('..') && !id.includes('\0')) return
  throw new GradCamError('ERR_INVALID_ARGUMENT', `The id ${show(id)} is not a path below the folder of the results.`)
}
