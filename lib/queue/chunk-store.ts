import type { JobClaim, JobStore } from '../jobs/job.js'
import type { JobLine } from '../jobs/job-line.js'
import type { ChunkTask } from './task.js'
import type { Versions } from './versions.js'
import type { Journal, Workspace } from './workspace.js'

/** One of a worker at a chunk. */
export interface Attempt {
  /** A name that no other attempt has. */
  readonly name: string
  /** To be noted in each line, where they are not those of the job. */
  readonly versions: Versions | null
}

/**
 * Keeps what is done of one chunk: a journal for this attempt, beside those of earlier attempts. What a worker that died had
 * finished is not explained again.
 */
export class ChunkStore implements JobStore {
  readonly #lines = new Map<string, JobLine>()
  #journal: Journal | null = null

  /** @param lost aborted when the chunk was given to another worker */
  constructor(
    private readonly workspace: Workspace,
    private readonly task: ChunkTask,
    private readonly attempt: Attempt,
    private readonly lost: AbortSignal,
  ) {}

  async claim(): Promise<JobClaim> {
    await this.read()
    this.#journal ??= await this.workspace.openJournal(this.task.chunk, this.attempt.name)
    const done = new Map(Array.from(this.#lines.values(), (line) => [line.id, !('error' in line)]))
    return { done, lost: this.lost }
  }

  /** Reads what all attempts recorded. A line whose files are not there, e.g. after a power cut, does not count. */
  async read(): Promise<void> {
    const ids = new Set(this.task.inputs.map(({ id }) => id))
    for await (const line of this.workspace.recorded(this.task.chunk))
      if (ids.has(line.id) && !this.#lines.has(line.id)) this.#lines.set(line.id, line)
  }

  /** The inputs that have no line yet. */
  pending(): ChunkTask['inputs'] {
    return this.task.inputs.filter(({ id }) => !this.#lines.has(id))
  }

  async record(given: JobLine): Promise<void> {
    const { versions } = this.attempt
    const line = versions ? { ...given, versions } : given
    await this.#journal?.add(line)
    this.#lines.set(line.id, line)
  }

  async close(): Promise<void> {
    const journal = this.#journal
    this.#journal = null
    await journal?.close()
  }

  /** Publishes the chunk, with a line for each input in their order. */
  async publish(): Promise<void> {
    const lines = this.task.inputs.flatMap(({ id }) => this.#lines.get(id) ?? [])
    await this.workspace.publish(this.task.chunk, lines)
  }
}
