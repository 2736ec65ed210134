import type { BatchExplanation } from '../batch/result.js'
import { expect, invalid } from '../base/check.js'
import { isPartialName, partialFolder } from './file-names.js'
import { FileWriter, isDiskFailure } from './file-writer.js'
import type { ResultSink } from './job.js'
import type { WrittenFile } from './job-line.js'
import type { JobSpec } from './job-spec.js'
import { readSinkSpec, writeResult, type SinkSpec } from './write-result.js'

/**
 * Writes the files of results into a folder: for the input `sub/a.jpg` e.g. `sub/a.jpg.overlay.jpg`. Each file is written
 * completely or not at all.
 */
export class FolderSink implements ResultSink {
  readonly #writer: FileWriter
  #spec: SinkSpec = { write: [], alpha: 0.5 }

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
    return await writeResult(result, this.#spec, (name, bytes) => this.#writer.write(name, bytes))
  }

  isFatal(error: unknown): boolean {
    return isDiskFailure(error)
  }

  async close(): Promise<void> {
    await this.#writer.end().catch(() => {}) // what stays there is removed by the next run
  }
}
