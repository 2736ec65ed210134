import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { MapLevels } from '../batch/levels.js'
import type { Region } from '../preprocess/framing.js'
import { unwritable } from './file-writer.js'

/** One line of manifest.jsonl: what became of one input. */
export type ManifestLine = ManifestResult | ManifestError

interface ManifestInput {
  /** The name of the input in the job: its path below the folder that all inputs lie in. */
  readonly id: string
  /** Its path. */
  readonly input: string
  /** Of the input's bytes; null where they could not be read. */
  readonly sha256: string | null
}

export interface ManifestResult extends ManifestInput {
  readonly target: number
  readonly label: string | null
  readonly score: number
  readonly top: readonly { class: number; label: string | null; score: number; probability: number }[]
  readonly method: string
  readonly layer: string | null
  /** [height, width] of the image, and the part of it that the model saw. */
  readonly size: readonly number[]
  readonly region: Region
  /** The map, made small enough for a line. */
  readonly map: MapLevels
  /** By kind, relative to the manifest's folder. */
  readonly files: Readonly<Record<string, string>>
  readonly milliseconds: number
}

export interface ManifestError extends ManifestInput {
  readonly error: { readonly code: string | null; readonly message: string }
}

export function manifestPath(folder: string): string {
  return join(folder, 'manifest.jsonl')
}

/** The lines of a manifest that are whole, the first for each input. What was torn when its writer died is left out. */
export async function* readManifest(folder: string): AsyncGenerator<ManifestLine, undefined> {
  const seen = new Set<string>()
  const file = await open(manifestPath(folder)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
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

function parse(text: string): ManifestLine | null {
  try {
    const line = JSON.parse(text) as Partial<ManifestResult & ManifestError> | null
    const whole = typeof line?.id === 'string' && (line.error !== undefined || typeof line.files === 'object')
    return whole ? (line as ManifestLine) : null
  } catch {
    return null
  }
}

/** How long lines may be lost by a power cut, in milliseconds; their inputs would be explained again. */
const syncEvery = 1000

/** Adds lines to a manifest. */
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

  /** One line after another, so that no other line is ever torn than the last. */
  async add(line: ManifestLine): Promise<void> {
    const added = this.#last.then(() => this.#append(Buffer.from(`${JSON.stringify(line)}\n`)))
    this.#last = added.catch(() => {})
    await added
  }

  async #append(bytes: Buffer): Promise<void> {
    try {
      await this.file.appendFile(bytes)
    } catch (error) {
      await this.file.truncate(this.size).catch(() => {}) // a part of it may be there
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
 * Writes a manifest anew with the lines that still hold: those whose files are all there, and failures where `keepFailed`.
 *
 * @returns the inputs that are done, by id
 */
export async function mendManifest(folder: string, keepFailed: boolean): Promise<Map<string, boolean>> {
  const done = new Map<string, boolean>()
  const partial = `${manifestPath(folder)}.partial`
  try {
    await rewrite(folder, partial, keepFailed, done)
    await rename(partial, manifestPath(folder))
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {})
    throw unwritable(manifestPath(folder), error as NodeJS.ErrnoException)
  }
  return done
}

async function rewrite(
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
      if ('error' in line ? !keepFailed : !(await allThere(folder, Object.values(line.files)))) continue
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

async function allThere(folder: string, files: readonly string[]): Promise<boolean> {
  const found = await Promise.all(files.map((file) => stat(join(folder, file)).catch(() => null)))
  return found.every((one) => one?.isFile() && one.size > 0)
}
