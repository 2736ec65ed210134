import type { Job } from 'bullmq'
import { isRecord } from '../base/check.js'
import { GradCamError, type GradCamErrorCode } from '../base/errors.js'
import { inOneLine } from '../base/one-line.js'
import { withoutPassword } from './queue-url.js'
import type { QueueServer } from './connection.js'
import { coordinate, type JobQueue } from './coordinate.js'
import { runChunk, type ChunkTools } from './run-chunk.js'
import { addChunk, errorOfTask } from './tasks.js'
import { readChunkTask, readJobTask, type JobTask } from './task.js'
import type { QueueChunkEvent } from './chunk-event.js'

interface Settings {
  readonly name: string
  readonly chunks: number
  readonly maxWaiting: number
  readonly lockSeconds: number
  readonly onChunk: (event: QueueChunkEvent) => void
  readonly onError: (error: Error) => void
}

/** Jobs that a worker coordinates at a time, which is mostly waiting. */
const jobsAtOnce = 16

/** Errors that another attempt may not meet. */
const passing: readonly GradCamErrorCode[] = [
  'ERR_IMAGE_WRITE',
  'ERR_FILE_UNREADABLE',
  'ERR_OUT_OF_MEMORY',
  'ERR_TORCH',
]

/** Takes tasks of both queues until it is closed. */
export function processTasks(
  server: QueueServer,
  tools: ChunkTools,
  { name, chunks, maxWaiting, lockSeconds, onChunk, onError }: Settings,
): { readonly closed: Promise<void>; readonly close: () => Promise<void> } {
  const { WaitingError, UnrecoverableError } = server.bullmq
  const stop = new AbortController()
  const lost = new Map<string, AbortController>()
  const lockDuration = lockSeconds * 1000
  // Who died is a question for runChunk(): BullMQ itself gives a task up after one death.
  const options = { name, lockDuration, stalledInterval: Math.max(500, lockDuration / 2), maxStalledCount: 1e6 }

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

  /** Runs a task with the signal that aborts when its lock is lost. */
  const locked = async <Result>(
    job: Job,
    token: string,
    work: (lost: AbortSignal) => Promise<Result | null>,
  ): Promise<Result> => {
    const key = `${job.queueName}/${job.id}`
    const controller = new AbortController()
    lost.set(key, controller)
    let result: Result | null
    try {
      result = await work(controller.signal)
    } catch (error) {
      if (stop.signal.aborted && !controller.signal.aborted && isAbort(error)) return await giveBack(job, token)
      throw refuse(error)
    } finally {
      lost.delete(key)
    }
    return result ?? (await giveBack(job, token))
  }

  const chunkWorker = server.work(
    'chunks',
    (job, token = '') =>
      locked(job, token, async (isLost) => {
        const began = performance.now()
        const task = readChunkTask(job.data)
        const outcome = await runChunk(task, job.stalledCounter, { lost: isLost, stop: stop.signal }, tools)
        const milliseconds = performance.now() - began
        onChunk({ job: task.job, chunk: task.chunk, ...outcome, milliseconds })
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
        return await coordinate(task, queueOf(server, job, task, maxWaiting), tools.roots, signal)
      }),
    { ...options, concurrency: jobsAtOnce },
    onError,
  )
  const workers = [chunkWorker, jobWorker]
  for (const worker of workers)
    worker.on('lockRenewalFailed', (ids) => {
      for (const id of ids)
        lost.get(`${worker.name}/${id}`)?.abort(new GradCamError('ERR_LOCKED', 'Another worker has this task now.'))
    })
  return {
    closed: Promise.all(workers.map((worker) => new Promise<void>((done) => worker.once('closed', done)))).then(
      () => {},
    ),
    close: async () => {
      stop.abort()
      await Promise.all(workers.map((worker) => worker.close()))
    },
  }
}

function queueOf(server: QueueServer, job: Job, task: JobTask, maxWaiting: number): JobQueue {
  const name = job.id as string
  return {
    space: async () => maxWaiting - (await server.chunks.getJobCountByTypes('waiting', 'delayed')),
    add: (chunk, inputs) => addChunk(server, { name, task, chunk }, inputs),
    look: (chunk) => errorOfTask(server, name, chunk),
    isCancelled: async () => {
      const now = (await server.jobs.getJob(name)) as Job<JobTask> | undefined
      return now?.data.cancelled === true
    },
    isActive: async () =>
      (await server.chunks.getJobs(['active'])).some(({ id, data }) => id !== undefined && isOf(data, name)),
    progress: (progress) => job.updateProgress(progress),
  }
}

function isOf(data: unknown, job: string): boolean {
  return isRecord(data) && data['job'] === job
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}
