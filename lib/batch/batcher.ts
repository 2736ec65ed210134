import type { Ready } from './explain-batch.js'
import { BatchFailure } from './result.js'
import { targetGroup } from './target.js'

/**
 * Makes batches of inputs that fit together: of one shape and of one kind of target. Inputs are
 * taken in their own order whatever the order in which they get ready, so that batches are the same however fast that is.
 */
export class Gatherer {
  /** Inputs that are ready, by index, or have failed. */
  readonly #ready = new Map<number, Ready | BatchFailure>()
  readonly #groups = new Map<string, Ready[]>()
  #batches: Ready[][] = []
  #next = 0
  #batchSize: number

  constructor(batchSize: number) {
    this.#batchSize = batchSize
  }

  /** The index of the input that is gathered next. */
  get next(): number {
    return this.#next
  }

  put(index: number, ready: Ready | BatchFailure): void {
    this.#ready.set(index, ready)
  }

  /** Gathers what can be gathered; gives the failures among it. */
  *gather(): Generator<BatchFailure, undefined> {
    for (;;) {
      const ready = this.#ready.get(this.#next)
      if (!ready) return
      this.#ready.delete(this.#next++)
      if (ready instanceof BatchFailure) yield ready
      else this.#join(ready)
    }
  }

  #join(ready: Ready): void {
    const { input } = ready.prepared
    const key = `${input.dtype} ${input.device} ${input.shape.join()} ${targetGroup(ready.item.target)}`
    const group = this.#groups.get(key) ?? []
    group.push(ready)
    this.#groups.set(key, group)
    if (group.length < this.#batchSize) return
    this.#groups.delete(key)
    this.#batches.push(group)
  }

  /** Whether there is a batch to explain, or an input to gather. */
  get hasWork(): boolean {
    return this.#batches.length > 0 || this.#ready.has(this.#next)
  }

  get hasBatch(): boolean {
    return this.#batches.length > 0
  }

  get hasIncomplete(): boolean {
    return this.#groups.size > 0
  }

  takeBatch(): readonly Ready[] {
    return this.#batches.shift() as Ready[]
  }

  /** The inputs of a batch that failed as a whole, each to be explained alone. */
  retry(batch: readonly Ready[]): void {
    this.#batches.unshift(...batch.map((one) => [one]))
  }

  /** The inputs of a batch for which there was no memory, in two halves; batches begun from now on are no larger. */
  halve(batch: readonly Ready[]): void {
    const half = Math.ceil(batch.length / 2)
    this.#batchSize = Math.min(this.#batchSize, half)
    this.#batches.unshift(batch.slice(0, half), batch.slice(half))
  }

  /** Makes batches of what is there, full or not. */
  flush(): void {
    this.#batches.push(...this.#groups.values())
    this.#groups.clear()
  }

  dispose(): void {
    const left = [...this.#groups.values(), ...this.#batches].flat()
    for (const ready of this.#ready.values()) if (!(ready instanceof BatchFailure)) left.push(ready)
    for (const { prepared } of left) prepared.input.dispose()
    this.#ready.clear()
    this.#groups.clear()
    this.#batches = []
  }
}
