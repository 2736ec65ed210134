import { setTimeout as sleep } from 'node:timers/promises'
import { settled } from '../base/callback.js'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import type { JobSummary } from '../jobs/tally.js'
import { defaultPrefix, openQueue, type QueueServer, type Task } from './connection.js'
import type { QueueProgress } from './coordinate.js'
import { readQueueUrl } from './queue-url.js'
import { patiently } from './patiently.js'
import { toError } from './tasks.js'

/** Where a job of a queue stands. */
export interface JobStatus {
  readonly name: string
  /** `waiting`: no worker took it yet. `cancelling`: the end is asked for. `cancelled`: it ended before all inputs were done. */
  readonly state: 'waiting' | 'running' | 'cancelling' | 'done' | 'cancelled' | 'failed'
  /** The folder of its results. */
  readonly out: string
  /** Null before a worker took it. */
  readonly progress: QueueProgress | null
  /** Once it has ended. */
  readonly summary: JobSummary | null
  /** Once it has failed. */
  readonly error: GradCamError | null
  /** Workers of the queue that are connected. */
  readonly workers: number
}

/** How a job is awaited. */
export interface ResultOptions {
  /**
   * Called whenever the job has got further, or workers have come or gone: with the number of those that are connected to the queue.
   * An error that it throws ends the waiting; the job goes on.
   */
  onProgress?: ((progress: QueueProgress, workers: number) => void) | undefined
}

/** How often the queue is asked, in milliseconds. */
const askEvery = 500

/** A job of a queue, seen from outside: closing it does not end the job. */
export class JobHandle {
  readonly #server: QueueServer
  readonly #closing = new AbortController()
  /** Ends waiting. */
  readonly #signal: AbortSignal

  /** @internal See {@link enqueueJob} and {@link openJob}. */
  constructor(
    server: unknown,
    readonly name: string,
    signal?: AbortSignal,
  ) {
    this.#server = server as QueueServer
    this.#signal = AbortSignal.any([this.#closing.signal, ...(signal ? [signal] : [])])
  }

  /** @throws GradCamError ERR_JOB_NOT_FOUND where the queue has no such job, or not any more */
  async status(): Promise<JobStatus> {
    // First: what is read later tells why a job that had ended by then did so.
    const state = await this.#server.jobs.getJobState(this.name)
    const job = await this.#find()
    const summary = state === 'completed' ? (job.returnvalue as JobSummary) : null
    const { cancelled, out } = job.data as { cancelled?: boolean; out: string }
    const running = state === 'active' ? 'running' : 'waiting'
    const ended = state === 'failed' ? 'failed' : summary?.interrupted ? 'cancelled' : 'done'
    return {
      name: this.name,
      state: state === 'failed' || summary ? ended : cancelled ? 'cancelling' : running,
      out,
      progress: typeof job.progress === 'object' ? (job.progress as unknown as QueueProgress) : null,
      summary,
      error: state === 'failed' ? toError(job.failedReason) : null,
      workers: await this.#server.chunks.getWorkersCount().catch(() => 0),
    }
  }

  /**
   * Waits until the job has ended.
   *
   * @throws GradCamError the error that ended it; ERR_JOB_NOT_FOUND; ERR_CLOSED where this handle is closed meanwhile, or the
   *   reason of the signal, after which the job goes on
   */
  async result(options: ResultOptions = {}): Promise<JobSummary> {
    const { onProgress } = expect.options(options)
    if (onProgress !== undefined) expect.function('onProgress', onProgress)
    let told = ''
    for (;;) {
      this.#signal.throwIfAborted()
      const { progress, workers, summary, error } = await patiently(() => this.status(), this.#signal)
      const now = JSON.stringify([progress, workers])
      if (progress && now !== told) {
        told = now
        await settled(onProgress?.(progress, workers))
      }
      if (error) throw error
      if (summary) return summary
      await sleep(askEvery, undefined, { signal: this.#signal }).catch(() => {})
    }
  }

  /**
   * Asks for the end of the job: no further input is taken, what is done becomes its manifest, and the summary says that it was
   * interrupted. It can be resumed. Nothing happens before a worker sees it.
   */
  async cancel(): Promise<void> {
    const job = await this.#find()
    await job.updateData({ ...(job.data as object), cancelled: true })
  }

  /** Closes the connection to the queue, and ends the waiting of {@link result}. */
  close(): Promise<void> {
    const closed = 'The handle of the job was closed while its end was awaited.'
    this.#closing.abort(
      new GradCamError('ERR_CLOSED', closed, { remedy: 'The job goes on: openJob watches it again.' }),
    )
    return this.#server.close()
  }

  /** The same as {@link close}: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #find(): Promise<Task> {
    const job = (await this.#server.jobs.getJob(this.name)) as Task | undefined
    if (job) return job
    throw new GradCamError(
      'ERR_JOB_NOT_FOUND',
      `The queue at ${this.#server.address.shown} has no job '${this.name}'.`,
      {
        remedy: 'A job that the queue lost is resumed from the folder of its results.',
      },
    )
  }
}

/**
 * A job that was enqueued before, e.g. by another process.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT, ERR_TOOL_MISSING, ERR_QUEUE, ERR_JOB_NOT_FOUND
 */
export async function openJob(
  name: string,
  options: { queue: string; prefix?: string; signal?: AbortSignal | undefined },
): Promise<JobHandle> {
  expect.string('name', name)
  const { queue, prefix = defaultPrefix, signal } = expect.options(options)
  expect.signal(signal)
  const handle = new JobHandle(await openQueue(readQueueUrl(queue), prefix), name, signal)
  try {
    await handle.status()
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}
