import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, show } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { openToAppend, openToRead, writeWhole } from '../base/write-file.js'
import { unwritable } from './file-writer.js'
import type { JobLine } from './job-line.js'
import { readLine } from './read-line.js'
import { isStale } from './stale-lines.js'

/** The file in a folder of results that has a line for each input. */
export function manifestPath(folder: string): string {
  return join(folder, 'manifest.jsonl')
}

/** The lines of the manifest in a folder on a disk: see `readManifest`, which is exported. */
export async function* readFolderManifest(folder: string): AsyncGenerator<JobLine, undefined> {
  const seen = new Set<string>()
  const file = await openToRead(manifestPath(expect.path('folder', folder))).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    const reason = error.code ?? error.message
    throw new GradCamError('ERR_FILE_UNREADABLE', `The manifest in ${show(folder)} cannot be read (${reason}).`, {
      details: { folder, system: error.code },
      cause: error,
    })
  })
  if (!file) return
  try {
    for await (const text of file.readLines()) {
      const line = readLine(text)
      if (!line || seen.has(line.id)) continue
      seen.add(line.id)
      yield line
    }
  } finally {
    await file.close() // where the caller left early
  }
}

/** Whether a folder holds a manifest with anything in it. */
export async function hasLines(folder: string): Promise<boolean> {
  for await (const _ of readFolderManifest(folder)) return true
  return false
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
    const file = await openToAppend(manifestPath(folder))
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
    try {
      await this.file.datasync()
    } finally {
      await this.file.close()
    }
  }
}

/** What {@link pruneManifest} keeps. */
export interface PruneOptions {
  /** Whether failures are kept. */
  readonly keepFailed: boolean
  /** Whether files are read, and not only looked at: see {@link isStale}. */
  readonly verify: boolean
}

/** What a manifest holds once it is pruned. */
export interface Pruned {
  /** The inputs that are done, by id, and whether they were explained. */
  readonly done: ReadonlyMap<string, boolean>
  /** How many inputs were explained and are not done any more. */
  readonly changed: number
}

/** Lines whose files are looked at, at a time. */
const lookedAtOnce = 64

/** Rewrites a manifest without its stale lines (see {@link isStale}), and without failures unless they are to be kept. */
export async function pruneManifest(folder: string, options: PruneOptions): Promise<Pruned> {
  const path = manifestPath(folder)
  const done = new Map<string, boolean>()
  let changed = 0
  const copy = async (file: FileHandle): Promise<void> => {
    for await (const lines of inGroups(readFolderManifest(folder), lookedAtOnce)) {
      const kept = await Promise.all(lines.map((line) => isKept(folder, line, options)))
      changed += lines.filter((line, i) => !('error' in line) && !kept[i]).length
      const left = lines.filter((_, i) => kept[i])
      for (const line of left) done.set(line.id, !('error' in line))
      await file.appendFile(left.map((line) => `${JSON.stringify(line)}\n`).join(''))
    }
  }
  await writeWhole(path, copy, { partial: `${path}.partial` }).catch((error: NodeJS.ErrnoException) => {
    throw unwritable(path, error)
  })
  return { done, changed }
}

async function isKept(folder: string, line: JobLine, { keepFailed, verify }: PruneOptions): Promise<boolean> {
  return 'error' in line ? keepFailed : !(await isStale(folder, line, verify))
}

/** The same items, several at a time. */
export async function* inGroups<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[], undefined> {
  let group: T[] = []
  for await (const item of items) {
    group.push(item)
    if (group.length < size) continue
    yield group
    group = []
  }
  if (group.length > 0) yield group
}
