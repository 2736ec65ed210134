import { settled } from '../base/callback.js'
import { Batcher } from './batcher.js'
import { explainBatch, type BatchExplainer, type Ready } from './explain-batch.js'
import { Replicas, type BatchWork } from './replicas.js'
import { InputSource } from './input-source.js'
import { Stage } from './stage.js'
import { idOf, readInput, type BatchInput, type Item } from './input.js'
import type { BatchSettings } from './options.js'
import { digestOf, prepare } from './prepare.js'
import { BatchExplanation, BatchFailure, type BatchResult, type ExplainedInput } from './result.js'
import { ResultQueue } from './result-queue.js'
import { MemoryBudget } from './memory-budget.js'

/**
 * The stages of {@link explainAll}: an input is taken, prepared, put into a batch, explained, finished and handed out. Each
 * stage records what it has done and calls `#pump`, which starts everything that can start: no stage waits for another.
 */
export class Pipeline<Extra> {
  readonly #source: InputSource
  readonly #replicas: Replicas<ExplainedInput>
  readonly #ending = new AbortController()
  readonly #tasks = new Set<Promise<void>>()
  readonly #memory: MemoryBudget
  readonly #results: ResultQueue<Extra>
  readonly #batcher: Batcher
  readonly #preparing: Stage<Item>
  readonly #finishing: Stage<BatchExplanation<Extra>>

  /** Inputs that were taken and whose result is not handed out yet. */
  #held = 0
  #done = 0
  #failed = 0
  #stalled: NodeJS.Timeout | undefined

  constructor(
    source: AsyncIterable<BatchInput> | Iterable<BatchInput>,
    explainers: readonly BatchExplainer[],
    private readonly settings: BatchSettings<Extra>,
  ) {
    this.#source = new InputSource(source)
    this.#memory = new MemoryBudget(settings.memory, () => this.#pump())
    this.#batcher = new Batcher(settings.batchSize)
    this.#replicas = new Replicas(explainers, this.#batcher, this.#work, this.#ending.signal)
    this.#results = new ResultQueue(settings.order === 'input')
    const { signal, concurrency } = settings
    this.#preparing = new Stage(
      concurrency,
      async (item) =>
        this.#batcher.put(item.index, await prepareItem(item, settings, this.#memory, this.#ending.signal)),
      this.#track,
    )
    this.#finishing = new Stage(
      concurrency,
      async (result) => this.#settle(await finished(result, settings)),
      this.#track,
    )
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
    await this.#source.leave()
    while (this.#tasks.size > 0) await Promise.all(this.#tasks)
    this.#free()
  }

  #stop(reason: unknown): void {
    this.settings.signal?.removeEventListener('abort', this.#onAbort)
    this.#ending.abort(reason)
    this.#memory.close(reason)
    clearTimeout(this.#stalled)
  }

  #fail(error: unknown): void {
    if (this.#ending.signal.aborted) return
    this.#stop(error)
    const returned = this.#source.leave()
    this.#results.fail(error, async () => {
      await returned
      await this.close()
    })
  }

  #free(): void {
    this.#batcher.dispose()
    for (const item of this.#preparing.drain()) item.tensor?.dispose()
    for (const result of [...this.#finishing.drain(), ...this.#results.drain()]) result.dispose()
    this.#replicas.dispose()
  }

  readonly #track = (task: Promise<void>): void => {
    const tracked = task
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#tasks.delete(tracked)
        this.#pump()
      })
    this.#tasks.add(tracked)
  }

  readonly #work: BatchWork<ExplainedInput> = {
    explain: explainBatch,
    explained: (found: ExplainedInput): void => {
      const result = new BatchExplanation<Extra>(found)
      if (this.settings.finish) this.#finishing.add(result)
      else this.#settle(result)
    },
    failed: ({ item, prepared }: Ready, error: unknown): void =>
      this.#settle(new BatchFailure(item.index, item.id, error, prepared.sha256)),
  }

  #pump(): void {
    if (this.#ending.signal.aborted) return
    clearTimeout(this.#stalled)
    if (!this.#source.reading && !this.#source.done && this.#held < this.settings.window) void this.#read()
    this.#preparing.start()
    for (const failure of this.#batcher.advance()) this.#settle(failure)
    if (this.#source.done && this.#batcher.next === this.#source.taken) this.#batcher.flush()
    this.#replicas.start(this.#track)
    this.#finishing.start()
    this.#handOut()
    if (this.#isIdle()) this.#unblock()
  }

  async #read(): Promise<void> {
    try {
      const next = await this.#source.next()
      if (!next || this.#ending.signal.aborted) return
      const { input, index } = next
      this.#held++
      try {
        this.#preparing.add(readInput(input, index, this.settings))
      } catch (error) {
        this.#batcher.put(index, new BatchFailure(index, idOf(input, index), error, null))
      }
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#pump()
    }
  }

  #settle(result: BatchResult<Extra>): void {
    if (result.ok) this.#done++
    else this.#failed++
    if (!result.ok) this.#memory.release(result.index)
    this.#results.put(result)
    const { id, ok } = result
    try {
      const progress = { id, ok, taken: this.#source.taken, explained: this.#done, failed: this.#failed }
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
    if (this.#source.done && this.#held === 0 && !this.#source.reading) {
      this.#stop(new Error('The run is over.'))
      this.#free()
      this.#results.end()
    } else if (this.#held < this.settings.window && !this.#source.reading && !this.#source.done)
      queueMicrotask(() => this.#pump())
  }

  /** Whether nothing runs that will call `#pump`, except perhaps the source's next input. */
  #isIdle(): boolean {
    return (
      this.#held > 0 &&
      !this.#batcher.hasWork &&
      this.#finishing.waiting === 0 &&
      this.#finishing.running === 0 &&
      this.#replicas.idle &&
      this.#preparing.running === this.#memory.waiting &&
      (this.#preparing.waiting === 0 || this.#preparing.isFull) &&
      !this.#results.hasNext()
    )
  }

  #unblock(): void {
    if (this.#source.reading && this.#memory.waiting === 0) {
      if (!this.#batcher.hasIncomplete || this.settings.maxWait === Infinity) return
      // Inputs that are there must not wait for one that may never come.
      this.#stalled = setTimeout(() => {
        this.#batcher.flush()
        this.#pump()
      }, this.settings.maxWait)
    } else if (this.#batcher.hasIncomplete) {
      this.#batcher.flush()
      this.#replicas.start(this.#track)
    } else {
      this.#memory.admitFirst()
    }
  }
}

/** What is explained of an input, or why there is nothing. */
async function prepareItem(
  item: Item,
  { preprocess, expected, limits, sha256 }: BatchSettings<unknown>,
  memory: MemoryBudget,
  signal: AbortSignal,
): Promise<Ready | BatchFailure> {
  const { index, id } = item
  const began = performance.now()
  const reserve = (bytes: number): Promise<void> => memory.take(index, bytes)
  try {
    return { item, prepared: await prepare(item, { preprocess, expected, limits, sha256, reserve, signal }), began }
  } catch (error) {
    return new BatchFailure(index, id, error, digestOf(error))
  }
}

/** A result after the caller's `finish`, whose failure is that of the input. */
async function finished<Extra>(
  result: BatchExplanation<Extra>,
  { finish }: BatchSettings<Extra>,
): Promise<BatchResult<Extra>> {
  try {
    result.extra = (await finish?.(result)) as Extra
    return result
  } catch (error) {
    result.dispose()
    return new BatchFailure(result.index, result.id, error, result.sha256)
  }
}
