import type { Ready } from './explain-batch.js'
import { BatchFailure } from './result.js'
import { targetGroup } from './target.js'

/**
 * Makes batches of inputs that fit together: of one shape and one kind of target. Inputs are added in the order of the
 * source, not in the order in which they become ready, so that the batches do not depend on timing.
 */
export class Batcher {
  /** Inputs that are ready or have failed, by index. */
  readonly #ready = new Map<number, Ready | BatchFailure>()
  readonly #groups = new Map<string, Ready[]>()
  #batches: Ready[][] = []
  #next = 0
  #batchSize: number

  constructor(batchSize: number) {
    this.#batchSize = batchSize
  }

  /** The index of the input that is added next. */
  get next(): number {
    return this.#next
  }

  put(index: number, ready: Ready | BatchFailure): void {
    this.#ready.set(index, ready)
  }

  /** Adds the inputs whose turn it is to batches, and yields those that failed. */
  *advance(): Generator<BatchFailure, undefined> {
    for (;;) {
      const ready = this.#ready.get(this.#next)
      if (!ready) return
      this.#ready.delete(this.#next++)
      if (ready instanceof BatchFailure) yield ready
      else this.#add(ready)
    }
  }

  #add(ready: Ready): void {
    const { input } = ready.prepared
    const key = `${input.dtype} ${input.device} ${input.shape.join()} ${targetGroup(ready.item.target)}`
    const group = this.#groups.get(key) ?? []
    group.push(ready)
    this.#groups.set(key, group)
    if (group.length < this.#batchSize) return
    this.#groups.delete(key)
    this.#batches.push(group)
  }

  /** Whether there is a batch to explain, or an input to add. */
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
    const first = this.#batches.shift() as Ready[]
    if (first.length > this.#batchSize) this.#batches.unshift(first.slice(this.#batchSize))
    return first.slice(0, this.#batchSize)
  }

  /** Puts back the inputs of a batch that failed as a whole, each in a batch of its own. */
  retry(batch: readonly Ready[]): void {
    this.#batches.unshift(...batch.map((one) => [one]))
  }

  /** Puts back the inputs of a batch in two: the last by itself. Those that are taken later are as large as before. */
  split(batch: readonly Ready[]): void {
    this.#batches.unshift(batch.slice(0, -1), batch.slice(-1))
  }

  /**
   * Puts back a batch for which memory ran out. No batch that is taken from now on is larger than half of it, those that wait
   * included: a large one beside a small one may take the memory that the small one needs.
   */
  halve(batch: readonly Ready[]): void {
    this.#batchSize = Math.min(this.#batchSize, Math.ceil(batch.length / 2))
    this.#batches.unshift([...batch])
  }

  /** Puts back the inputs of a batch. Batches that are taken from now on have one input each. */
  single(batch: readonly Ready[]): void {
    this.#batchSize = 1
    this.#batches.unshift([...batch])
  }

  /** Takes out an input that is not needed any more; undefined where it was taken with its batch already. */
  remove(index: number): Ready | undefined {
    for (const batch of [...this.#groups.values(), ...this.#batches]) {
      const at = batch.findIndex(({ item }) => item.index === index)
      if (at >= 0) {
        const [removed] = batch.splice(at, 1)
        this.#dropEmpty()
        return removed
      }
    }
    return undefined
  }

  #dropEmpty(): void {
    for (const [key, group] of this.#groups) if (group.length === 0) this.#groups.delete(key)
    this.#batches = this.#batches.filter((batch) => batch.length > 0)
  }

  /** Completes the batches that are not full. */
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
