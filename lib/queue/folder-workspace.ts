import { appendFile, lstat, open, readdir, readFile, rename, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFoldersBelow, writeWhole } from '../base/write-file.js'
import { isPartialName, partialFolder, queueFolder } from '../jobs/file-names.js'
import { unwritable } from '../jobs/file-writer.js'
import { FolderSink } from '../jobs/folder-sink.js'
import { readFolderSpec } from '../jobs/folder-store.js'
import type { ResultSink } from '../jobs/job.js'
import type { JobLine } from '../jobs/job-line.js'
import type { JobSpec } from '../jobs/job-spec.js'
import { manifestPath, readFolderManifest } from '../jobs/manifest.js'
import { readLine } from '../jobs/read-line.js'
import { isStale } from '../jobs/stale-lines.js'
import { FolderListing, readTexts } from './folder-listing.js'
import { chunkOf, nameOf, type Journal, type Listing, type Workspace } from './workspace.js'

/** Characters of the manifest that are written at a time. */
const blockSize = 1 << 20

/** A workspace on a disk: the files of the folder .gradcam-queue in that of the results. */
export class FolderWorkspace implements Workspace {
  readonly #folder: string

  constructor(readonly out: string) {
    this.#folder = join(out, queueFolder)
  }

  async make(): Promise<void> {
    await makeFoldersBelow(this.out, join(queueFolder, 'parts'))
    await makeFoldersBelow(this.out, join(queueFolder, 'journals'))
  }

  exists(): Promise<boolean> {
    return exists(this.#folder)
  }

  openListing(): Promise<Listing> {
    return FolderListing.open(join(this.#folder, 'listing.jsonl'))
  }

  #part(chunk: number): string {
    return join(this.#folder, 'parts', `${nameOf(chunk)}.jsonl`)
  }

  isDone(chunk: number): Promise<boolean> {
    return exists(this.#part(chunk))
  }

  async done(): Promise<number[]> {
    return (await readdir(join(this.#folder, 'parts'))).flatMap((name) => chunkOf(name) ?? [])
  }

  part(chunk: number): AsyncIterable<JobLine> {
    return readLines(this.#part(chunk))
  }

  /** Throws the errors of the system. */
  async publish(chunk: number, lines: readonly JobLine[]): Promise<void> {
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
    await writeWhole(this.#part(chunk), text, { replace: false }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    for (const file of await this.#journals(chunk)) await rm(file, { force: true })
  }

  async #journals(chunk: number): Promise<string[]> {
    const folder = join(this.#folder, 'journals')
    const prefix = `${nameOf(chunk)}.`
    // A folder of those in progress alone: a journal is removed when its chunk is done.
    return (await readdir(folder)).filter((name) => name.startsWith(prefix)).map((name) => join(folder, name))
  }

  async openJournal(chunk: number, attempt: string): Promise<Journal> {
    const file = await open(join(this.#folder, 'journals', `${nameOf(chunk)}.${attempt}.jsonl`), 'a')
    return {
      add: (line) => file.appendFile(`${JSON.stringify(line)}\n`),
      close: () => file.close(),
    }
  }

  /** A line whose files are not there, e.g. after a power cut, is left out. */
  async *recorded(chunk: number): AsyncGenerator<JobLine, undefined> {
    for (const journal of await this.#journals(chunk))
      for await (const line of readLines(journal))
        if ('error' in line || !(await isStale(this.out, line, false))) yield line
  }

  async unfinished(): Promise<JobLine[]> {
    const folder = join(this.#folder, 'journals')
    const lines: JobLine[] = []
    for (const name of await readdir(folder)) for await (const line of readLines(join(folder, name))) lines.push(line)
    return lines
  }

  stop(): Promise<void> {
    return appendFile(join(this.#folder, 'stopped'), '')
  }

  async isStopped(): Promise<boolean> {
    return (await exists(join(this.#folder, 'stopped'))) || !(await this.exists())
  }

  resume(): Promise<void> {
    return rm(join(this.#folder, 'stopped'), { force: true })
  }

  specBytes(): Promise<Uint8Array | null> {
    return readFile(join(this.out, 'job.json')).catch(() => null)
  }

  readSpec(): Promise<JobSpec | null> {
    return readFolderSpec(this.out)
  }

  manifest(): AsyncIterable<JobLine> {
    return readFolderManifest(this.out)
  }

  async finish(lines: AsyncIterable<JobLine>): Promise<void> {
    const write = async (file: FileHandle): Promise<void> => {
      let block = ''
      for await (const line of lines) {
        block += `${JSON.stringify(line)}\n`
        if (block.length < blockSize) continue
        await file.appendFile(block)
        block = ''
      }
      await file.appendFile(block)
    }
    const path = manifestPath(this.out)
    await writeWhole(path, write, { partial: `${path}.partial` }).catch((error: NodeJS.ErrnoException) => {
      throw unwritable(path, error)
    })
    for (const name of await readdir(this.out))
      if (isPartialName(name)) await rm(join(this.out, name), { recursive: true, force: true })
    await this.#remove()
  }

  /** Removes everything, at once for those who look. */
  async #remove(): Promise<void> {
    const last = `${this.#folder}-old`
    await rm(last, { recursive: true, force: true })
    await rename(this.#folder, last)
    await rm(last, { recursive: true, force: true })
  }

  sink(attempt: string): ResultSink {
    return new FolderSink(this.out, { partial: `${partialFolder}-${attempt}` })
  }
}

/** The lines of a part or a journal; nothing where it does not exist. One that is torn is left out. */
async function* readLines(path: string): AsyncGenerator<JobLine, undefined> {
  for await (const text of readTexts(path)) {
    const line = readLine(text)
    if (line) yield line
  }
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
