import { isBatchSize, isOutOfMemory } from '../base/in-parts.js'
import { ScorePass } from '../explain/score-pass.js'
import { rowsOf } from '../model/model-notes.js'
import { hasRowsOf, readOtherInputs, withImages, type OtherInputs } from '../methods/other-inputs.js'
import type { Batcher } from './batcher.js'
import type { BatchExplainer, Ready } from './explain-batch.js'

interface Replica extends BatchExplainer {
  readonly others: OtherInputs
  running: number
}

/** What is done with a batch, and what becomes of its inputs. */
export interface BatchWork<Explained> {
  explain(by: BatchExplainer, batch: readonly Ready[], signal: AbortSignal): Promise<readonly Explained[]>
  explained(found: Explained): void
  failed(ready: Ready, error: unknown): void
}

/** Batches that one replica has at a time: one that runs, and the next, so that it never waits for JavaScript. */
const batchesAhead = 2

/** The explainers of a run, each on a model of its own, among which batches are dealt out. */
export class Replicas<Explained> {
  readonly #replicas: Replica[]

  constructor(
    explainers: readonly BatchExplainer[],
    private readonly batcher: Batcher,
    private readonly work: BatchWork<Explained>,
    private readonly signal: AbortSignal,
  ) {
    this.#replicas = explainers.map((one) => ({ ...one, others: readOtherInputs(one.inputs), running: 0 }))
  }

  get idle(): boolean {
    return this.#replicas.every(({ running }) => running === 0)
  }

  /** Whether one of them has nothing to do. */
  get hasIdle(): boolean {
    return this.#replicas.some(({ running }) => running === 0)
  }

  /** Begins with the batches that there are; each piece of work is given to `track`. */
  start(track: (task: Promise<void>) => void): void {
    while (this.batcher.hasBatch) {
      const idlest = this.#replicas.reduce((best, one) => (one.running < best.running ? one : best))
      if (idlest.running >= batchesAhead) return
      idlest.running++
      track(this.#explain(this.batcher.takeBatch(), idlest))
    }
  }

  dispose(): void {
    for (const { explainer } of this.#replicas) explainer[Symbol.dispose]()
  }

  async #explain(batch: readonly Ready[], replica: Replica): Promise<void> {
    let retried = false
    try {
      if (hasRowsOf(replica.others, batch.length)) {
        retried = true
        this.batcher.split(batch)
        return
      }
      if (batch.length > 1 && !(await this.#takesSeveral(replica, batch))) {
        retried = true
        this.batcher.single(batch)
        return
      }
      for (const found of await this.work.explain(replica, batch, this.signal)) this.work.explained(found)
    } catch (error) {
      if (this.signal.aborted) return
      // The cause may be a single input, e.g. its target: the others are explained without it.
      retried = batch.length > 1
      if (retried && (isOutOfMemory(error) || isBatchSize(error))) this.batcher.halve(batch)
      else if (retried) this.batcher.retry(batch)
      else for (const ready of batch) this.work.failed(ready, error)
    } finally {
      replica.running--
      if (!retried) for (const { prepared } of batch) prepared.input.dispose()
    }
  }

  /** Whether the images of a batch come out as they do alone. The first batch of a model finds out. */
  async #takesSeveral({ model, others }: Replica, batch: readonly Ready[]): Promise<boolean> {
    const known = rowsOf(model)
    if (known) return known.independent
    using given = withImages(others, (batch[0] as Ready).prepared.input)
    using probe = new ScorePass(model, 'hooked', others.at)
    return await probe.takesSeveral(given.inputs, this.signal)
  }
}
