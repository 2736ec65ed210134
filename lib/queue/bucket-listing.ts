import { GradCamError } from '../base/errors.js'
import type { BucketFolder } from '../storage/bucket-folder.js'
import { parseInputs } from './parse-inputs.js'
import type { TaskInput } from './task.js'
import { chunkOf, nameOf, type Listing } from './workspace.js'

/** Chunks that are read at a time. */
const readAtOnce = 32

/** Which inputs are in which chunk: an object for each chunk, of which none is ever replaced. */
export class BucketListing implements Listing {
  private constructor(
    private readonly folder: BucketFolder,
    public chunks: number,
    public inputs: number,
  ) {}

  static async open(folder: BucketFolder): Promise<BucketListing> {
    let chunks = 0
    // They were made one after another, so that none is missing between two.
    for await (const { name } of folder.list()) if (chunkOf(name) === chunks) chunks++
    const listing = new BucketListing(folder, chunks, 0)
    for await (const inputs of listing.#all()) listing.inputs += inputs.length
    return listing
  }

  async *#all(): AsyncGenerator<readonly TaskInput[], undefined> {
    const { chunks } = this
    for (let first = 0; first < chunks; first += readAtOnce) {
      const count = Math.min(readAtOnce, chunks - first)
      yield* await Promise.all(Array.from({ length: count }, (_, i) => this.inputsOf(first + i)))
    }
  }

  async *ids(): AsyncGenerator<string, undefined> {
    for await (const inputs of this.#all()) for (const { id } of inputs) yield id
  }

  /** @throws GradCamError ERR_LOCKED where another worker adds chunks */
  async add(inputs: readonly TaskInput[]): Promise<number> {
    const chunk = this.chunks
    const name = this.#nameOf(chunk)
    const text = JSON.stringify(inputs)
    // A request that was sent again finds what the first one wrote.
    if ((await this.folder.put(name, text, { ifNone: true })) === null && (await this.folder.readText(name)) !== text)
      throw new GradCamError('ERR_LOCKED', 'Another worker lists the inputs of this job.')
    this.chunks++
    this.inputs += inputs.length
    return chunk
  }

  async inputsOf(chunk: number): Promise<readonly TaskInput[]> {
    return parseInputs((await this.folder.readText(this.#nameOf(chunk))) ?? '') ?? []
  }

  #nameOf(chunk: number): string {
    return `${nameOf(chunk)}.json`
  }

  async close(): Promise<void> {}
}
