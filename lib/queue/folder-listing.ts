import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import { openToRead } from '../base/write-file.js'
import { parseInputs } from './parse-inputs.js'
import type { TaskInput } from './task.js'
import type { Listing } from './workspace.js'

/** Where the line of a chunk lies in the file. */
interface Place {
  readonly at: number
  readonly bytes: number
  readonly inputs: number
}

/**
 * Which inputs are in which chunk: a file with a line for each chunk, to which lines are only added. What whole lines say
 * stays true whoever dies.
 */
export class FolderListing implements Listing {
  readonly #places: Place[]
  #inputs: number

  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    places: Place[],
    private size: number,
  ) {
    this.#places = places
    this.#inputs = places.reduce((sum, { inputs }) => sum + inputs, 0)
  }

  /** Opens it, or makes it. A last line that is torn is cut off: its chunk was never enqueued. */
  static async open(path: string): Promise<FolderListing> {
    const places: Place[] = []
    let size = 0
    for await (const text of readTexts(path)) {
      const bytes = Buffer.byteLength(text) + 1
      const inputs = parseInputs(text)
      if (!inputs) break
      places.push({ at: size, bytes, inputs: inputs.length })
      size += bytes
    }
    const file = await open(path, 'a')
    const found = (await file.stat()).size
    // A last line without its end is torn, too, also where it can be read.
    if (size > found) size -= (places.pop() as Place).bytes
    if (found > size) await file.truncate(size)
    return new FolderListing(path, file, places, size)
  }

  /** How many chunks there are. */
  get chunks(): number {
    return this.#places.length
  }

  /** How many inputs there are in all of them. */
  get inputs(): number {
    return this.#inputs
  }

  /** The ids of all inputs, in order. */
  async *ids(): AsyncGenerator<string, undefined> {
    const { chunks } = this
    let chunk = 0
    for await (const text of readTexts(this.path)) {
      if (chunk++ >= chunks) return
      for (const { id } of parseInputs(text) ?? []) yield id
    }
  }

  /** Adds a chunk, which is on the disk when this returns. @returns its number */
  async add(inputs: readonly TaskInput[]): Promise<number> {
    const bytes = Buffer.from(`${JSON.stringify(inputs)}\n`)
    await this.file.appendFile(bytes)
    await this.file.datasync()
    this.#places.push({ at: this.size, bytes: bytes.length, inputs: inputs.length })
    this.#inputs += inputs.length
    this.size += bytes.length
    return this.#places.length - 1
  }

  async inputsOf(chunk: number): Promise<readonly TaskInput[]> {
    const { at, bytes } = this.#places[chunk] as Place
    await using file = await openToRead(this.path)
    const { buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, at)
    return parseInputs(buffer.toString()) ?? []
  }

  close(): Promise<void> {
    return this.file.close()
  }
}

/** The lines of a file as text; none where it does not exist. */
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
