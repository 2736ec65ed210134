import { setTimeout as sleep } from 'node:timers/promises'
import { GradCamError } from '../base/errors.js'
import { FileSource } from '../jobs/file-source.js'
import type { JobPlan } from '../jobs/job.js'
import type { JobLine } from '../jobs/job-line.js'
import { JobTally, type JobSummary } from '../jobs/tally.js'
import { listInputs, type ChunkQueue } from './list-inputs.js'
import { mergeParts, tallyManifest } from './merge.js'
import { readQueuedSpec } from './read-spec.js'
import type { ChunkTools } from './run-chunk.js'
import type { JobTask } from './task.js'
import { isOfOtherVersions } from './versions.js'
import { allOf, readAhead } from './read-ahead.js'
import { openWorkspace } from './open-workspace.js'
import type { Listing, Workspace } from './workspace.js'

/** How far a job is. */
export interface QueueProgress {
  readonly explained: number
  readonly failed: number
  readonly files: number
  /** Inputs that were found so far, those of earlier runs included. */
  readonly inputs: number
  /** Whether all inputs were found. */
  readonly listed: boolean
  readonly chunks: number
  readonly chunksDone: number
}

/** What the coordination of a job requires of its queue. */
export interface JobQueue extends ChunkQueue {
  /** Of a chunk that is not done: whether the queue has it, has lost it, or gave it up with an error. */
  readonly look: (chunk: number) => Promise<'there' | 'lost' | GradCamError>
  readonly isCancelled: () => Promise<boolean>
  /** Whether a worker has a chunk of the job now. */
  readonly isActive: () => Promise<boolean>
  readonly progress: (progress: QueueProgress) => Promise<void>
}

/** How often the parts are looked at, in milliseconds; less often where listing them takes long. */
const lookEvery = 250
const lookAtLeastEvery = 5_000

/** Parts that are read at a time. */
const readAtOnce = 16

/** Unfinished chunks that the queue is asked for at each look. */
const askedAtOnce = 4

/**
 * Takes a job from its inputs to its manifest: lists the inputs in chunks, waits until all are done, and merges. Another
 * worker goes on where one died, from what lies in the folder of the results.
 *
 * @throws GradCamError the error of a chunk that was given up; ERR_QUEUE_REFUSED for folders outside the roots
 */
export async function coordinate(
  task: JobTask,
  queue: JobQueue,
  { roots, models, versions, otherVersions }: Pick<ChunkTools, 'roots' | 'models' | 'versions' | 'otherVersions'>,
  signal: AbortSignal,
): Promise<JobSummary> {
  const workspace = openWorkspace(await roots.check(task.out, 'folder of results'))
  const seconds = (): number => (Date.now() - task.began) / 1000
  // It died after it had merged.
  if (!(await workspace.exists())) return (await tallyManifest(workspace)).summary(seconds(), false)
  isOfOtherVersions(task.versions, versions, otherVersions) // refused here, or recorded with each line
  const spec = await readQueuedSpec(workspace, task.spec)
  await workspace.make()
  await workspace.resume() // where an earlier attempt failed
  const before = new Map<string, boolean>()
  for await (const line of workspace.manifest()) before.set(line.id, !('error' in line))
  const source = await FileSource.open(task.sources, {
    labels: spec.labels,
    exclude: workspace.out,
    folder: task.folder,
  })
  for (const root of source.roots) await roots.check(root, 'source')
  if (source.base !== spec.base)
    throw new GradCamError(
      'ERR_QUEUE_REFUSED',
      `The inputs start at '${source.base}' here, and at '${spec.base}' there.`,
      {
        remedy: 'Mount the folders of a job at the same path on all machines.',
      },
    )
  const listing = await workspace.openListing()
  try {
    const explainer = await models.use(spec, task.spec)
    const plan = await explainer.open(spec)
    await explainer.close() // gives it back: chunks of this worker use the same one
    const watch = new Watch(task, { workspace, listing, queue, before, plan })
    return (await watch.run(source, signal)).summary(seconds(), watch.cancelled)
  } finally {
    await listing.close()
  }
}

interface WatchParts {
  readonly workspace: Workspace
  readonly listing: Listing
  readonly queue: JobQueue
  readonly before: ReadonlyMap<string, boolean>
  /** What the model takes: which files in folders are inputs depends on it. */
  readonly plan: JobPlan
}

/** Follows a job while its inputs are listed and explained. */
class Watch {
  readonly #done = new Set<number>()
  readonly #tally = new JobTally()
  #listed = false
  #asked = 0
  #first = 0
  #told = ''
  cancelled = false

  constructor(
    private readonly task: JobTask,
    private readonly parts: WatchParts,
  ) {
    for (const explained of parts.before.values()) this.#tally.before(explained)
  }

  async run(source: FileSource, signal: AbortSignal): Promise<JobTally> {
    const { workspace, listing, queue, before, plan } = this.parts
    const stop = new AbortController()
    const either = AbortSignal.any([signal, stop.signal])
    let failure: unknown
    const list = listInputs(source.entries(plan), {
      listing,
      queue,
      size: this.task.chunk,
      skip: (id) => before.has(id),
      done: () => workspace.done(),
      signal: either,
    }).then(
      () => void (this.#listed = true),
      (error: unknown) => void (failure = error),
    )
    try {
      while (!(await this.#isOver())) {
        if (failure !== undefined) throw failure
        signal.throwIfAborted()
        await this.#askForUnfinished()
        const took = await this.#look()
        const rest = Math.min(lookAtLeastEvery, Math.max(lookEvery, 5 * took))
        if (!this.#isDone()) await sleep(rest, undefined, { signal })
      }
    } catch (error) {
      // Chunks that wait need no work any more, unless another attempt follows, or another worker.
      if (!signal.aborted && error instanceof GradCamError) await workspace.stop().catch(() => {})
      throw error
    } finally {
      stop.abort()
      await list
    }
    if (this.cancelled) await this.#end(signal)
    return await mergeParts(workspace, listing.chunks, { unfinished: this.cancelled, before })
  }

  /** Waits until the workers have seen that the job is over, or are dead: what they write must not meet the merge. */
  async #end(signal: AbortSignal): Promise<void> {
    await this.parts.workspace.stop()
    while (await this.parts.queue.isActive()) await sleep(lookEvery, undefined, { signal })
  }

  async #isOver(): Promise<boolean> {
    this.cancelled = await this.parts.queue.isCancelled()
    return this.cancelled || this.#isDone()
  }

  #isDone(): boolean {
    return this.#listed && this.#done.size === this.parts.listing.chunks
  }

  /** Counts what is new. @returns how long it took to list the parts, in milliseconds */
  async #look(): Promise<number> {
    const { workspace, listing, queue } = this.parts
    const began = performance.now()
    const done = await workspace.done(this.#allDoneBefore())
    const took = performance.now() - began
    const fresh = done.filter((chunk) => !this.#done.has(chunk))
    const reads = fresh.map((chunk) => async () => ({ chunk, lines: await allOf(workspace.part(chunk)) }))
    for await (const { chunk, lines } of readAhead(reads, readAtOnce)) {
      for (const line of lines) this.#count(line)
      this.#done.add(chunk)
    }
    const { counts } = this.#tally
    const progress: QueueProgress = {
      ...counts,
      inputs: this.parts.before.size + listing.inputs,
      listed: this.#listed,
      chunks: listing.chunks,
      chunksDone: this.#done.size,
    }
    const told = JSON.stringify(progress)
    if (told !== this.#told) await queue.progress(progress)
    this.#told = told
    return took
  }

  /** The first chunk that is not done. */
  #allDoneBefore(): number {
    while (this.#done.has(this.#first)) this.#first++
    return this.#first
  }

  #count(line: JobLine): void {
    if (!this.parts.before.has(line.id)) this.#tally.add(line)
  }

  /** A queue may lose chunks, e.g. one in memory that is restarted, and a chunk may be given up: a few are asked for. */
  async #askForUnfinished(): Promise<void> {
    const { workspace, listing, queue } = this.parts
    const { chunks } = listing
    for (let asked = 0, passed = 0; asked < askedAtOnce && passed < chunks; passed++) {
      const chunk = this.#asked++ % chunks
      if (this.#done.has(chunk)) continue
      asked++
      const found = await queue.look(chunk)
      if (found === 'there') continue
      if (found !== 'lost') throw found
      // Or it was not added yet; adding it twice changes nothing.
      if ((await queue.space()) > 0 && !(await workspace.isDone(chunk)))
        await queue.add(chunk, await listing.inputsOf(chunk))
    }
  }
}
