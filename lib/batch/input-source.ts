import type { BatchInput } from './input.js'

/** The inputs of a run, taken one at a time. */
export class InputSource {
  readonly #source: AsyncIterator<BatchInput> | Iterator<BatchInput>
  #reading = false
  #done = false
  #taken = 0

  constructor(source: AsyncIterable<BatchInput> | Iterable<BatchInput>) {
    this.#source = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  }

  /** Whether the next input is awaited. */
  get reading(): boolean {
    return this.#reading
  }

  /** Whether there are no more. */
  get done(): boolean {
    return this.#done
  }

  /** How many there were until now. */
  get taken(): number {
    return this.#taken
  }

  /** The next input, with its number from 0 on; null where there are no more. What the source throws ends it. */
  async next(): Promise<{ readonly input: BatchInput; readonly index: number } | null> {
    this.#reading = true
    try {
      const { done, value } = await this.#source.next()
      if (!done) return { input: value, index: this.#taken++ }
      this.#done = true
      return null
    } catch (error) {
      this.#done = true // an iterator that threw has ended: return() is not due
      throw error
    } finally {
      this.#reading = false
    }
  }

  /** Takes no more. */
  async leave(): Promise<void> {
    if (this.#done) return
    this.#done = true
    const returned = (async () => this.#source.return?.())().catch(() => {})
    // A generator that is waiting for its next input answers return() only after that, which may be never.
    if (!this.#reading) await returned
  }
}
