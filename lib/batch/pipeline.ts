import { settled } from '../base/callback.js'
import { explainBatch, type Ready } from './explain-batch.js'
import { Batcher } from './batcher.js'
import { idOf, readInput, type BatchInput, type Item } from './input.js'
import { isBatchSize, isOutOfMemory } from '../base/in-parts.js'
import { ScorePass } from '../explain/score-pass.js'
import type { MapExplainer } from '../methods/map-explainer.js'
import { rowsOf } from '../model/model-notes.js'
import type { Model } from '../model/model.js'
import type { BatchSettings } from './options.js'
import { digestOf, prepare } from './prepare.js'
import { BatchExplanation, BatchFailure, type BatchResult } from './result.js'
import { ResultQueue } from './result-queue.js'
import { MemoryBudget } from './memory-budget.js'

/** Batches that one replica has at a time: one that runs, and the next, so that it never waits for JavaScript. */
const batchesAhead = 2

/** A model, and what explains by it. */
export interface BatchExplainer {
  readonly model: Model
  readonly explainer: MapExplainer
}

interface Replica extends BatchExplainer {
  running: number
}

/**
 * The stages of {@link explainAll}: an input is taken, prepared, put into a batch, explained, finished and handed out. Each
 * stage records what it has done and calls `#pump`, which starts everything that can start: no stage waits for another.
 */
export class Pipeline<Extra> {
  readonly #source: AsyncIterator<BatchInput> | Iterator<BatchInput>
  readonly #replicas: Replica[]
  readonly #ending = new AbortController()
  readonly #tasks = new Set<Promise<void>>()
  readonly #memory: MemoryBudget
  readonly #results: ResultQueue<Extra>
  readonly #batcher: Batcher

  #reading = false
  #sourceDone = false
  #taken = 0
  /** Inputs that were taken and whose result is not handed out yet. */
  #held = 0
  #toPrepare: Item[] = []
  #preparing = 0
  #toFinish: BatchExplanation<Extra>[] = []
  #finishing = 0
  #done = 0
  #failed = 0
  #stalled: NodeJS.Timeout | undefined

  constructor(
    source: AsyncIterable<BatchInput> | Iterable<BatchInput>,
    explainers: readonly BatchExplainer[],
    private readonly settings: BatchSettings<Extra>,
  ) {
    this.#source = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
    this.#replicas = explainers.map((one) => ({ ...one, running: 0 }))
    this.#memory = new MemoryBudget(settings.memory, () => this.#pump())
    this.#batcher = new Batcher(settings.batchSize)
    this.#results = new ResultQueue(settings.order === 'input')
    const { signal } = settings
    if (signal?.aborted) this.#fail(signal.reason)
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  readonly #onAbort = (): void => this.#fail(this.settings.signal?.reason)

  next(): Promise<IteratorResult<BatchResult<Extra>, undefined>> {
    const next = this.#results.next()
    this.#pump()
    return next
  }

  /** Stops everything. Resolves when nothing runs any more and everything is freed. */
  async close(): Promise<void> {
    this.#stop(new Error('The run was ended early.'))
    this.#results.end()
    await this.#leaveSource()
    while (this.#tasks.size > 0) await Promise.all(this.#tasks)
    this.#free()
  }

  #stop(reason: unknown): void {
    this.settings.signal?.removeEventListener('abort', this.#onAbort)
    this.#ending.abort(reason)
    this.#memory.close(reason)
    clearTimeout(this.#stalled)
  }

  async #leaveSource(): Promise<void> {
    if (this.#sourceDone) return
    this.#sourceDone = true
    const returned = (async () => this.#source.return?.())().catch(() => {})
    // A generator that is waiting for its next input answers return() only after that, which may be never.
    if (!this.#reading) await returned
  }

  #fail(error: unknown): void {
    if (this.#ending.signal.aborted) return
    this.#stop(error)
    const returned = this.#leaveSource()
    this.#results.fail(error, async () => {
      await returned
      await this.close()
    })
  }

  #free(): void {
    this.#batcher.dispose()
    for (const item of this.#toPrepare) item.tensor?.dispose()
    for (const result of [...this.#toFinish, ...this.#results.drain()]) result.dispose()
    for (const { explainer } of this.#replicas) explainer[Symbol.dispose]()
    this.#toPrepare = []
    this.#toFinish = []
  }

  #track(task: Promise<void>): void {
    const tracked = task
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#tasks.delete(tracked)
        this.#pump()
      })
    this.#tasks.add(tracked)
  }

  #pump(): void {
    if (this.#ending.signal.aborted) return
    clearTimeout(this.#stalled)
    const { concurrency } = this.settings
    if (!this.#reading && !this.#sourceDone && this.#held < this.settings.window) this.#read()
    while (this.#toPrepare.length > 0 && this.#preparing < concurrency) this.#prepare(this.#toPrepare.shift() as Item)
    this.#makeBatches()
    this.#dispatch()
    while (this.#toFinish.length > 0 && this.#finishing < concurrency)
      this.#finish(this.#toFinish.shift() as BatchExplanation<Extra>)
    this.#handOut()
    if (this.#isIdle()) this.#unblock()
  }

  #read(): void {
    this.#reading = true
    void (async () => this.#source.next())()
      .then(({ done, value }) => {
        this.#reading = false
        if (this.#ending.signal.aborted) return
        if (done) this.#sourceDone = true
        else this.#take(value)
      })
      .catch((error: unknown) => {
        this.#reading = false
        this.#sourceDone = true // an iterator that threw has ended: return() is not due
        this.#fail(error)
      })
      .finally(() => this.#pump())
  }

  #take(input: BatchInput): void {
    const index = this.#taken++
    this.#held++
    try {
      this.#toPrepare.push(readInput(input, index, this.settings.target))
    } catch (error) {
      this.#batcher.put(index, new BatchFailure(index, idOf(input, index), error, null))
    }
  }

  #prepare(item: Item): void {
    const { index, id } = item
    const began = performance.now()
    const reserve = (bytes: number): Promise<void> => this.#memory.take(index, bytes)
    const { preprocess, limits, sha256 } = this.settings
    const arrived = (result: Ready | BatchFailure): void => {
      this.#preparing--
      this.#batcher.put(index, result)
    }
    this.#preparing++
    this.#track(
      prepare(item, { preprocess, limits, sha256, reserve, signal: this.#ending.signal }).then(
        (prepared) => arrived({ item, prepared, began }),
        (error: unknown) => arrived(new BatchFailure(index, id, error, digestOf(error))),
      ),
    )
  }

  #makeBatches(): void {
    for (const failure of this.#batcher.advance()) this.#settle(failure)
    if (this.#sourceDone && this.#batcher.next === this.#taken) this.#batcher.flush()
  }

  #dispatch(): void {
    while (this.#batcher.hasBatch) {
      const idlest = this.#replicas.reduce((best, one) => (one.running < best.running ? one : best))
      if (idlest.running >= batchesAhead) return
      idlest.running++
      this.#track(this.#explain(this.#batcher.takeBatch(), idlest))
    }
  }

  async #explain(batch: readonly Ready[], replica: Replica): Promise<void> {
    let retried = false
    try {
      const { explainer, model } = replica
      if (batch.length > 1 && !(await this.#takesSeveral(model, batch))) {
        retried = true
        this.#batcher.single(batch)
        return
      }
      for (const found of await explainBatch(explainer, model, batch, this.#ending.signal)) {
        const result = new BatchExplanation<Extra>(found)
        if (this.settings.finish) this.#toFinish.push(result)
        else this.#settle(result)
      }
    } catch (error) {
      if (this.#ending.signal.aborted) return
      // The cause may be a single input, e.g. its target: the others are explained without it.
      retried = batch.length > 1
      if (retried && (isOutOfMemory(error) || isBatchSize(error))) this.#batcher.halve(batch)
      else if (retried) this.#batcher.retry(batch)
      else
        for (const { item, prepared } of batch)
          this.#settle(new BatchFailure(item.index, item.id, error, prepared.sha256))
    } finally {
      replica.running--
      if (!retried) for (const { prepared } of batch) prepared.input.dispose()
    }
  }

  /** Whether the images of a batch come out as they do alone. The first batch of a model finds out. */
  async #takesSeveral(model: Model, batch: readonly Ready[]): Promise<boolean> {
    const known = rowsOf(model)
    if (known) return known.independent
    using probe = new ScorePass(model, 'hooked')
    return await probe.takesSeveral((batch[0] as Ready).prepared.input, this.#ending.signal)
  }

  #finish(result: BatchExplanation<Extra>): void {
    this.#finishing++
    const finish = this.settings.finish as (result: BatchExplanation<unknown>) => Promise<Extra> | Extra
    const { index, id, sha256 } = result
    this.#track(
      (async () => finish(result))()
        .then(
          (extra) => {
            result.extra = extra
            this.#settle(result)
          },
          (error: unknown) => {
            result.dispose()
            this.#settle(new BatchFailure(index, id, error, sha256))
          },
        )
        .finally(() => this.#finishing--),
    )
  }

  #settle(result: BatchResult<Extra>): void {
    if (result.ok) this.#done++
    else this.#failed++
    if (!result.ok) this.#memory.release(result.index)
    this.#results.put(result)
    const { id, ok } = result
    try {
      const progress = { id, ok, taken: this.#taken, explained: this.#done, failed: this.#failed }
      settled(this.settings.onProgress?.(progress)).catch((error: unknown) => this.#fail(error))
    } catch (error) {
      this.#fail(error)
    }
  }

  #handOut(): void {
    for (const result of this.#results.deliverable()) {
      this.#held--
      this.#memory.release(result.index)
      if (result.ok || this.settings.onError === 'skip') this.#results.deliver(result)
      else return this.#fail(result.error)
    }
    if (this.#sourceDone && this.#held === 0 && !this.#reading) {
      this.#stop(new Error('The run is over.'))
      this.#free()
      this.#results.end()
    } else if (this.#held < this.settings.window && !this.#reading && !this.#sourceDone)
      queueMicrotask(() => this.#pump())
  }

  /** Whether nothing runs that will call `#pump`, except perhaps the source's next input. */
  #isIdle(): boolean {
    return (
      this.#held > 0 &&
      !this.#batcher.hasWork &&
      this.#toFinish.length === 0 &&
      this.#finishing === 0 &&
      this.#replicas.every(({ running }) => running === 0) &&
      this.#preparing === this.#memory.waiting &&
      (this.#toPrepare.length === 0 || this.#preparing === this.settings.concurrency) &&
      !this.#results.hasNext()
    )
  }

  #unblock(): void {
    if (this.#reading && this.#memory.waiting === 0) {
      if (!this.#batcher.hasIncomplete || this.settings.maxWait === Infinity) return
      // Inputs that are there must not wait for one that may never come.
      this.#stalled = setTimeout(() => {
        this.#batcher.flush()
        this.#pump()
      }, this.settings.maxWait)
    } else if (this.#batcher.hasIncomplete) {
      this.#batcher.flush()
      this.#dispatch()
    } else {
      this.#memory.admitFirst()
    }
  }
}
