import type { Job } from 'bullmq'
import { isRecord } from '../base/check.js'
import { GradCamError, type GradCamErrorCode } from '../base/errors.js'
import { isInTime } from './in-time.js'
import { keepLock } from './keep-lock.js'
import { inOneLine } from '../base/one-line.js'
import { withoutPassword } from './queue-url.js'
import type { QueueServer } from './connection.js'
import { coordinate, type JobQueue } from './coordinate.js'
import { runChunk, type ChunkTools } from './run-chunk.js'
import { patiently } from './patiently.js'
import { addChunk, errorOfTask } from './tasks.js'
import { readChunkTask, readJobTask, type JobTask } from './task.js'
import type { QueueChunkEvent } from './chunk-event.js'

interface Settings {
  readonly name: string
  readonly chunks: number
  readonly maxWaiting: number
  readonly lockSeconds: number
  readonly graceSeconds: number
  readonly onChunk: (event: QueueChunkEvent) => void
  readonly onError: (error: Error) => void
}

/** Jobs that a worker coordinates at a time, which is mostly waiting. */
const jobsAtOnce = 16

/** Errors that another attempt may not meet. */
const passing: readonly GradCamErrorCode[] = [
  'ERR_IMAGE_WRITE',
  'ERR_STORAGE',
  'ERR_FILE_UNREADABLE',
  'ERR_OUT_OF_MEMORY',
  'ERR_TORCH',
]

/** Takes tasks of both queues until it is closed. */
export function processTasks(
  server: QueueServer,
  tools: ChunkTools,
  { name, chunks, maxWaiting, lockSeconds, graceSeconds, onChunk, onError }: Settings,
): { readonly ready: Promise<unknown>; readonly close: () => Promise<void> } {
  const { WaitingError, UnrecoverableError } = server.bullmq
  const stop = new AbortController()
  const lockDuration = lockSeconds * 1000
  // Who died is a question for runChunk(): BullMQ itself gives a task up after one death.
  const options = {
    name,
    lockDuration,
    stalledInterval: Math.max(500, lockDuration / 2),
    maxStalledCount: 1e6,
    skipLockRenewal: true, // keepLock() does it
    runRetryDelay: 1000,
  }

  /** Gives an error to the queue, in the form that {@link errorOfTask} reads. */
  const refuse = (error: unknown): Error => {
    const known = error instanceof GradCamError ? error : null
    const text = withoutPassword(server.address, inOneLine(error))
    const message = known ? `${known.code}: ${text}` : text
    return known && !passing.includes(known.code) ? new UnrecoverableError(message) : new Error(message)
  }
  const giveBack = async (job: Job, token: string): Promise<never> => {
    await job.moveToWait(token)
    throw new WaitingError()
  }

  /** Runs a task, with a signal that aborts when its lock is lost. */
  const locked = async <Result>(
    job: Job,
    token: string,
    work: (lost: AbortSignal) => Promise<Result | null>,
  ): Promise<Result> => {
    const lock = keepLock(job, token, lockDuration)
    let result: Result | null
    try {
      result = await work(lock.lost)
    } catch (error) {
      // The task is not this worker's any more: what becomes of it is not for this worker to say.
      if (lock.lost.aborted) throw new WaitingError()
      if (stop.signal.aborted && isAbort(error)) return await giveBack(job, token)
      throw refuse(error)
    } finally {
      lock.release()
    }
    return result ?? (await giveBack(job, token))
  }

  const chunkWorker = server.work(
    'chunks',
    (job, token = '') =>
      locked(job, token, async (isLost) => {
        const began = performance.now()
        tools.observer.waited((Date.now() - job.timestamp) / 1000)
        const task = readChunkTask(job.data)
        const outcome = await runChunk(task, job.stalledCounter, { lost: isLost, stop: stop.signal }, tools)
        const milliseconds = performance.now() - began
        const event = { job: task.job, chunk: task.chunk, ...outcome, milliseconds }
        tools.observer.chunk(event)
        onChunk(event)
        return outcome.state === 'given back' ? null : outcome
      }),
    { ...options, concurrency: chunks },
    onError,
  )
  const jobWorker = server.work(
    'jobs',
    (job, token = '') =>
      locked(job, token, async (isLost) => {
        const task = readJobTask(job.data)
        const signal = AbortSignal.any([isLost, stop.signal])
        return await coordinate(task, queueOf(server, job, { task, maxWaiting, signal }), tools, signal)
      }),
    { ...options, concurrency: jobsAtOnce },
    onError,
  )
  const workers = [chunkWorker, jobWorker]
  return {
    ready: Promise.all(workers.map((worker) => worker.waitUntilReady())),
    close: async () => {
      stop.abort()
      const closed = Promise.all(workers.map((worker) => worker.close()))
      // A server that is away never hears what is given back: the locks run out instead.
      if (await isInTime(closed, graceSeconds * 1000)) return
      await isInTime(Promise.allSettled(workers.map((worker) => worker.disconnect())), 1000)
    },
  }
}

function queueOf(
  server: QueueServer,
  job: Job,
  { task, maxWaiting, signal }: { readonly task: JobTask; readonly maxWaiting: number; readonly signal: AbortSignal },
): JobQueue {
  const name = job.id as string
  const { chunks, jobs } = server
  const ask = <Answer>(answer: () => Promise<Answer>): Promise<Answer> => patiently(answer, signal)
  return {
    space: async () => maxWaiting - (await ask(() => chunks.getJobCountByTypes('waiting', 'delayed'))),
    add: (chunk, inputs) => ask(() => addChunk(server, { name, task, chunk }, inputs)),
    look: (chunk) => ask(() => errorOfTask(server, name, chunk)),
    isCancelled: async () => {
      const now = (await ask(() => jobs.getJob(name))) as Job<JobTask> | undefined
      return now?.data.cancelled === true
    },
    isActive: async () => (await ask(() => chunks.getJobs(['active']))).some(({ data }) => isOf(data, name)),
    progress: (progress) => ask(() => job.updateProgress(progress)),
  }
}

function isOf(data: unknown, job: string): boolean {
  return isRecord(data) && data['job'] === job
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}
