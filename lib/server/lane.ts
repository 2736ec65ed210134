import { GradCamError } from '../base/errors.js'
import { Batcher } from '../batch/batcher.js'
import { explainMaps, type BatchExplainer, type ExplainedMaps, type Ready } from '../batch/explain-batch.js'
import { Replicas } from '../batch/replicas.js'
import type { BatchTarget } from '../batch/target.js'
import type { Tensor } from '../tensor/tensor.js'
import type { BatchSettings } from './options.js'

/** What waits for the maps of one input. */
interface Waiter {
  readonly resolve: (found: ExplainedMaps) => void
  readonly reject: (error: unknown) => void
  /** Stops listening to the signal of the request. */
  readonly leave: () => void
  /** The batch that it is explained in, once it is. */
  batch: RunningBatch | null
}

/** A batch that is being explained. It is stopped when nobody waits for any of it. */
interface RunningBatch {
  readonly stop: AbortController
  waiters: number
}

/** Told of every batch that was explained. */
export type BatchListener = (images: number, seconds: number) => void

export interface LaneSettings extends BatchSettings {
  readonly onBatch: BatchListener
  /** How many requests the server has taken and not yet answered. */
  readonly inProgress: () => number
}

/**
 * Requests that one explainer serves. Those whose inputs fit together (one shape, one kind of target) and that arrive within the
 * window share a batch. While all replicas are busy, an incomplete batch waits for one of them, and grows meanwhile. A request waits
 * for no other where the server has none and the one before came alone, too.
 */
export class Lane {
  readonly #batcher: Batcher
  readonly #replicas: Replicas<ExplainedMaps>
  readonly #waiters = new Map<number, Waiter>()
  readonly #tasks = new Set<Promise<void>>()
  readonly #ending = new AbortController()
  #next = 0
  /** Cancels the wait for the end of the window. */
  #stopWaiting: (() => void) | null = null
  /** Whether the window of the incomplete batches is over. */
  #due = false
  /** How many images the last batch had. */
  #last = 0

  constructor(
    explainers: readonly BatchExplainer[],
    private readonly settings: LaneSettings,
    /** Frees what the explainers use besides their models. */
    private readonly free: () => void = () => {},
  ) {
    this.#batcher = new Batcher(settings.maxBatch)
    const work = {
      explain: (by: BatchExplainer, batch: readonly Ready[]) => this.#explain(by, batch),
      explained: (found: ExplainedMaps) => this.#settle(found.index, ({ resolve }) => resolve(found)),
      failed: ({ item }: Ready, error: unknown) => this.#settle(item.index, ({ reject }) => reject(error)),
    }
    this.#replicas = new Replicas(explainers, this.#batcher, work, this.#ending.signal)
  }

  get isIdle(): boolean {
    return this.#waiters.size === 0 && this.#tasks.size === 0
  }

  /**
   * The maps of one input, [1, C, H, W]. It is shared: the caller disposes its own.
   *
   * @param signal takes the input out again while it waits; a batch stops when all its inputs are not needed any more
   */
  explain(input: Tensor, target: BatchTarget, signal: AbortSignal): Promise<ExplainedMaps> {
    if (this.#ending.signal.aborted) return Promise.reject(this.#ending.signal.reason as Error)
    if (signal.aborted) return Promise.reject(signal.reason as Error)
    const index = this.#next++
    return new Promise((resolve, reject) => {
      const onAbort = (): void => this.#drop(index, signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      const leave = (): void => signal.removeEventListener('abort', onAbort)
      this.#waiters.set(index, { resolve, reject, leave, batch: null })
      const item = { index, id: String(index), source: null, tensor: null, target }
      const prepared = { input: input.detach(), image: null, framing: null, sha256: null }
      this.#batcher.put(index, { item, prepared, began: performance.now() })
      for (const failure of this.#batcher.advance()) throw failure.error // there are none: all that is put is ready
      this.#pump()
    })
  }

  /** Ends what runs and rejects what waits. Resolves when everything is freed. */
  async close(): Promise<void> {
    const reason = new GradCamError('ERR_ABORTED', 'The server was closed before the image was explained.')
    this.#ending.abort(reason)
    this.#reset()
    for (const index of this.#waiters.keys()) this.#drop(index, reason)
    while (this.#tasks.size > 0) await Promise.all(this.#tasks)
    this.#batcher.dispose()
    this.#replicas.dispose()
    this.free()
  }

  #pump(): void {
    if (this.#ending.signal.aborted) return
    this.#replicas.start(this.#track)
    if (!this.#batcher.hasIncomplete) return this.#reset()
    if (this.#due && this.#replicas.hasIdle) {
      this.#reset()
      this.#batcher.flush()
      this.#replicas.start(this.#track)
    } else if (!this.#due) {
      this.#stopWaiting ??= this.#wait(() => {
        this.#due = true
        this.#pump()
      })
    }
  }

  #wait(then: () => void): () => void {
    const requests = this.settings.inProgress()
    // Without a request it is the image that the model is prepared with.
    if (requests === 0 || (requests === 1 && this.#last === 1)) {
      // After all inputs of that one request.
      const soon = setImmediate(then)
      return () => clearImmediate(soon)
    }
    const timer = setTimeout(then, this.settings.batchWindow)
    return () => clearTimeout(timer)
  }

  #reset(): void {
    this.#stopWaiting?.()
    this.#stopWaiting = null
    this.#due = false
  }

  readonly #track = (task: Promise<void>): void => {
    const tracked = task.finally(() => {
      this.#tasks.delete(tracked)
      this.#pump()
    })
    this.#tasks.add(tracked)
  }

  async #explain(by: BatchExplainer, batch: readonly Ready[]): Promise<ExplainedMaps[]> {
    const running: RunningBatch = { stop: new AbortController(), waiters: 0 }
    for (const { item } of batch) {
      const waiter = this.#waiters.get(item.index)
      if (!waiter) continue
      waiter.batch = running
      running.waiters++
    }
    if (running.waiters === 0) throw new GradCamError('ERR_ABORTED', 'The client has stopped waiting for the image.')
    this.#last = batch.length
    const began = performance.now()
    const found = await explainMaps(by, batch, running.stop.signal)
    this.settings.onBatch(batch.length, (performance.now() - began) / 1000)
    return found
  }

  #settle(index: number, tell: (waiter: Waiter) => void): void {
    const waiter = this.#waiters.get(index)
    this.#waiters.delete(index)
    waiter?.leave()
    if (waiter) tell(waiter)
  }

  /** Of an input that is not needed any more. */
  #drop(index: number, reason: unknown): void {
    const batch = this.#waiters.get(index)?.batch
    this.#settle(index, ({ reject }) => reject(reason))
    this.#batcher.remove(index)?.prepared.input.dispose()
    if (batch && --batch.waiters === 0) batch.stop.abort(reason)
    this.#pump()
  }
}
