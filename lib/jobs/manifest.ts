import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, show } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { unwritable } from './file-writer.js'
import type { JobLine, JobErrorLine, JobResultLine } from './job-line.js'

/** The file in a folder of results that has a line for each input. */
export function manifestPath(folder: string): string {
  return join(folder, 'manifest.jsonl')
}

/**
 * The lines of the manifest in a folder of results: those that are complete, and the first for each input. A line that was
 * cut off when its writer died is left out.
 *
 * @returns nothing where there is no manifest
 * @throws GradCamError ERR_FILE_UNREADABLE, ERR_INVALID_ARGUMENT
 */
export async function* readManifest(folder: string): AsyncGenerator<JobLine, undefined> {
  const seen = new Set<string>()
  const file = await open(manifestPath(expect.path('folder', folder))).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    const reason = error.code ?? error.message
    throw new GradCamError('ERR_FILE_UNREADABLE', `The manifest in ${show(folder)} cannot be read (${reason}).`, {
      details: { folder, system: error.code },
      cause: error,
    })
  })
  if (!file) return
  for await (const text of file.readLines()) {
    const line = parse(text)
    if (!line || seen.has(line.id)) continue
    seen.add(line.id)
    yield line
  }
}

/** Whether a folder holds a manifest with anything in it. */
export async function hasLines(folder: string): Promise<boolean> {
  for await (const _ of readManifest(folder)) return true
  return false
}

function parse(text: string): JobLine | null {
  try {
    const line = JSON.parse(text) as Partial<JobResultLine & JobErrorLine> | null
    const whole = typeof line?.id === 'string' && (line.error !== undefined || typeof line.files === 'object')
    return whole ? (line as JobLine) : null
  } catch {
    return null
  }
}

/** Lines of the last milliseconds may be lost in a power cut; their inputs are then explained again. */
const syncEvery = 1000

/** Appends lines to a manifest. */
export class ManifestWriter {
  #synced = performance.now()
  #last: Promise<void> = Promise.resolve()

  private constructor(
    private readonly file: FileHandle,
    private size: number,
  ) {}

  static async open(folder: string): Promise<ManifestWriter> {
    const file = await open(manifestPath(folder), 'a')
    return new ManifestWriter(file, (await file.stat()).size)
  }

  /** Lines are written one after another, so that only the last one can be cut off. */
  async add(line: JobLine): Promise<void> {
    const added = this.#last.then(() => this.#append(Buffer.from(`${JSON.stringify(line)}\n`)))
    this.#last = added.catch(() => {})
    await added
  }

  async #append(bytes: Buffer): Promise<void> {
    try {
      await this.file.appendFile(bytes)
    } catch (error) {
      await this.file.truncate(this.size).catch(() => {}) // a part of the line may be there
      throw error
    }
    this.size += bytes.length
    if (performance.now() - this.#synced < syncEvery) return
    await this.file.datasync()
    this.#synced = performance.now()
  }

  async close(): Promise<void> {
    await this.file.datasync()
    await this.file.close()
  }
}

/**
 * Rewrites a manifest without its stale lines: those with a missing file, and failures unless `keepFailed`.
 *
 * @returns the inputs that are done, by id, and whether they were explained
 */
export async function pruneManifest(folder: string, keepFailed: boolean): Promise<Map<string, boolean>> {
  const done = new Map<string, boolean>()
  const partial = `${manifestPath(folder)}.partial`
  try {
    await copyLines(folder, partial, keepFailed, done)
    await rename(partial, manifestPath(folder))
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {})
    throw unwritable(manifestPath(folder), error as NodeJS.ErrnoException)
  }
  return done
}

async function copyLines(
  folder: string,
  partial: string,
  keepFailed: boolean,
  done: Map<string, boolean>,
): Promise<void> {
  const file = await open(partial, 'w')
  try {
    let lines: string[] = []
    const write = async (): Promise<void> => {
      await file.appendFile(lines.join(''))
      lines = []
    }
    for await (const line of readManifest(folder)) {
      if ('error' in line ? !keepFailed : !(await allExist(folder, Object.values(line.files)))) continue
      done.set(line.id, !('error' in line))
      lines.push(`${JSON.stringify(line)}\n`)
      if (lines.length === 1000) await write()
    }
    await write()
    await file.datasync()
  } finally {
    await file.close()
  }
}

async function allExist(folder: string, files: readonly string[]): Promise<boolean> {
  const found = await Promise.all(files.map((file) => stat(join(folder, file)).catch(() => null)))
  return found.every((one) => one?.isFile() && one.size > 0)
}
