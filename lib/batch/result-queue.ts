import type { BatchResult } from './result.js'

type Answer<Extra> = IteratorResult<BatchResult<Extra>, undefined>

interface Waiter<Extra> {
  readonly resolve: (answer: Answer<Extra>) => void
  readonly reject: (error: unknown) => void
}

/** Results that are ready, in the order of the inputs or of their arrival, and the calls of `next()` that wait for them. */
export class ResultQueue<Extra> {
  /** By their number in the order in which they are handed out. */
  readonly #results = new Map<number, BatchResult<Extra>>()
  readonly #waiters: Waiter<Extra>[] = []
  #arrived = 0
  #next = 0
  #ended = false
  #failure: { readonly error: unknown; readonly close: () => Promise<void> } | null = null

  constructor(private readonly inOrder: boolean) {}

  put(result: BatchResult<Extra>): void {
    this.#results.set(this.inOrder ? result.index : this.#arrived++, result)
  }

  hasNext(): boolean {
    return this.#results.has(this.#next)
  }

  /** Takes the results that can be handed out now, one by one, while a call waits. */
  *deliverable(): Generator<BatchResult<Extra>, undefined> {
    while (this.#waiters.length > 0) {
      const result = this.#results.get(this.#next)
      if (!result) return
      this.#results.delete(this.#next++)
      yield result
    }
  }

  deliver(result: BatchResult<Extra>): void {
    this.#waiters.shift()?.resolve({ done: false, value: result })
  }

  next(): Promise<Answer<Extra>> {
    if (this.#failure) {
      const { error, close } = this.#failure
      this.#failure = null
      return close().then(() => {
        throw error
      })
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  /** Rejects the oldest call of `next()` that waits, or the next one, after `close` has freed everything; other calls end. */
  fail(reason: unknown, close: () => Promise<void>): void {
    const tell = async ({ reject }: Waiter<Extra>): Promise<void> => {
      await close().catch(() => {}) // the error that ended the job says more
      reject(reason)
    }
    const waiter = this.#waiters.shift()
    if (waiter) void tell(waiter)
    else this.#failure = { error: reason, close }
    this.end()
  }

  end(): void {
    this.#ended = true
    for (const { resolve } of this.#waiters.splice(0)) resolve({ done: true, value: undefined })
  }

  /** The results that were never handed out. */
  drain(): BatchResult<Extra>[] {
    const left = [...this.#results.values()]
    this.#results.clear()
    return left
  }
}
