import type { BucketFolder } from './bucket-folder.js'

/** Bytes after which lines go to the next object: an object is written again for each group of lines. */
const partSize = 128 * 1024

/** Lines that may be on their way; then {@link ObjectJournal.add} waits. */
const mostUnwritten = 64

/**
 * Lines that are added one by one, in objects, to which nothing can be added: the last object is written again with what came
 * since. While one write is on its way the lines of the next collect, so that a fast writer does not wait for each line. What dies
 * loses the lines that were on their way.
 */
export class ObjectJournal {
  #part = 0
  #text = ''
  /** Lines of the text that no write has begun to carry. */
  #unwritten = 0
  #writing: Promise<void> | null = null
  #failure: unknown

  /** @param nameOf the name of each object, by its number; no other process may use it */
  constructor(
    private readonly folder: BucketFolder,
    private readonly nameOf: (part: number) => string,
  ) {}

  /** Throws ERR_STORAGE where this line or one before it could not be written. */
  async add(line: string): Promise<void> {
    this.#text += `${line}\n`
    this.#unwritten++
    this.#writing ??= this.#write()
    if (this.#unwritten >= mostUnwritten) await this.#writing
    if (this.#failure) throw this.#failure as Error
  }

  async #write(): Promise<void> {
    try {
      while (this.#unwritten > 0) {
        this.#unwritten = 0
        const [text, part] = [this.#text, this.#part]
        if (text.length > partSize) {
          this.#text = ''
          this.#part++
        }
        await this.folder.put(this.nameOf(part), text)
      }
    } catch (error) {
      this.#failure ??= error
    } finally {
      this.#writing = null
    }
  }

  /** Resolves when all lines are written. Throws as {@link add} does. */
  async flush(): Promise<void> {
    while (this.#writing) await this.#writing
    if (this.#failure) throw this.#failure as Error
  }
}
