import { appendFile, lstat, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFoldersBelow, openToRead, writeWhole } from '../base/write-file.js'
import { queueFolder } from '../jobs/file-names.js'
import type { JobLine } from '../jobs/job-line.js'
import { readLine } from '../jobs/read-line.js'

/**
 * What the workers of a job know of it, in the folder of its results:
 *
 * - listing.jsonl has a line for each chunk, so that whoever lists the inputs next makes the same chunks;
 * - journals has a file for each attempt at a chunk, with a line for each input that is done;
 * - parts has a file for each chunk that is done;
 * - stopped is there when no more work is to be done.
 *
 * So the folder is what is true of a job, and the queue says only who does what next: a queue that lost everything is filled
 * again from here.
 */
export class Workspace {
  readonly folder: string

  constructor(readonly out: string) {
    this.folder = join(out, queueFolder)
  }

  get listing(): string {
    return join(this.folder, 'listing.jsonl')
  }

  async make(): Promise<void> {
    await makeFoldersBelow(this.out, join(queueFolder, 'parts'))
    await makeFoldersBelow(this.out, join(queueFolder, 'journals'))
  }

  /** False once the job is merged, or was never begun. */
  exists(): Promise<boolean> {
    return exists(this.folder)
  }

  part(chunk: number): string {
    return join(this.folder, 'parts', `${nameOf(chunk)}.jsonl`)
  }

  isDone(chunk: number): Promise<boolean> {
    return exists(this.part(chunk))
  }

  /** The numbers of all chunks that are done. */
  async done(): Promise<number[]> {
    const names = await readdir(join(this.folder, 'parts'))
    return names.flatMap((name) => {
      const number = /^(\d{8})\.jsonl$/.exec(name)?.[1]
      return number === undefined ? [] : [Number(number)]
    })
  }

  /**
   * Writes the lines of a chunk, whole, and only where no other worker did.
   *
   * Throws the errors of the system.
   */
  async publish(chunk: number, lines: readonly JobLine[]): Promise<void> {
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
    await writeWhole(this.part(chunk), text, { replace: false }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    for (const file of await this.journals(chunk)) await rm(file, { force: true })
  }

  /** The journals of a chunk, of all its attempts. */
  async journals(chunk: number): Promise<string[]> {
    const folder = join(this.folder, 'journals')
    const prefix = `${nameOf(chunk)}.`
    // A folder of those in progress alone: a journal is removed when its chunk is done.
    return (await readdir(folder)).filter((name) => name.startsWith(prefix)).map((name) => join(folder, name))
  }

  /** The journal of an attempt, which no other attempt has. */
  journal(chunk: number, attempt: string): string {
    return join(this.folder, 'journals', `${nameOf(chunk)}.${attempt}.jsonl`)
  }

  /** Every line of every attempt at a chunk that is not done. */
  async unfinished(): Promise<JobLine[]> {
    const names = await readdir(join(this.folder, 'journals'))
    const lines: JobLine[] = []
    for (const name of names) for await (const line of readLines(join(this.folder, 'journals', name))) lines.push(line)
    return lines
  }

  stop(): Promise<void> {
    return appendFile(join(this.folder, 'stopped'), '')
  }

  async isStopped(): Promise<boolean> {
    return (await exists(join(this.folder, 'stopped'))) || !(await this.exists())
  }

  resume(): Promise<void> {
    return rm(join(this.folder, 'stopped'), { force: true })
  }

  /** Removes everything, at once for those who look. */
  async remove(): Promise<void> {
    const last = `${this.folder}-old`
    await rm(last, { recursive: true, force: true })
    await rename(this.folder, last)
    await rm(last, { recursive: true, force: true })
  }
}

/** The lines of a manifest, a part or a journal; nothing where it does not exist. One that is torn is left out. */
export async function* readLines(path: string): AsyncGenerator<JobLine, undefined> {
  for await (const text of readTexts(path)) {
    const line = readLine(text)
    if (line) yield line
  }
}

/** The lines of a file as text. */
export async function* readTexts(path: string): AsyncGenerator<string, undefined> {
  const file = await openToRead(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (!file) return
  try {
    yield* file.readLines()
  } finally {
    await file.close().catch(() => {}) // readLines() closes it at the end
  }
}

function nameOf(chunk: number): string {
  return String(chunk).padStart(8, '0')
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
