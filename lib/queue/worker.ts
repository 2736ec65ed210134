import { hostname } from 'node:os'
import { expect, isCallable } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import type { JobExplainer } from '../jobs/job.js'
import { ModelExplainer, type ModelExplainerOptions } from '../jobs/model-explainer.js'
import type { QueueChunkEvent } from './chunk-event.js'
import { defaultPrefix, openQueue } from './connection.js'
import { isInTime } from './in-time.js'
import { isolateBy } from './isolate.js'
import { ModelCache } from './model-cache.js'
import { processTasks } from './process-tasks.js'
import { readQueueUrl } from './queue-url.js'
import { Roots } from './roots.js'

/** Options of {@link startWorker}. */
export interface QueueWorkerOptions extends Omit<ModelExplainerOptions, 'model' | 'maxWait'> {
  /** The address of the queue: redis://, rediss:// (TLS), postgres:// or postgresql://. */
  queue: string
  /** The folders that images and results may be in. A task that names others is refused. */
  roots: readonly string[]
  /** The folders that models may be in; `roots` by default. */
  modelRoots?: readonly string[]
  /** What the queue is called on its server; 'gradcam' by default. */
  prefix?: string
  /** Chunks at a time: while one is explained the images of the next are read. 2 by default. */
  chunks?: number
  /** Chunks of all jobs that may wait at a time; more inputs are listed when they are taken. 256 by default. */
  maxWaiting?: number
  /** After how many seconds without a sign of life a worker's chunk is given to another. 30 by default. */
  lockSeconds?: number
  /**
   * After how many seconds a worker that is to end does so, whatever it is still at; its chunks then go to others when their
   * locks have run out. 30 by default.
   */
  graceSeconds?: number
  /**
   * What explains the inputs, made once for each job; a {@link ModelExplainer} by default. Only with that one an input that
   * kills its process is found.
   */
  explainer?: () => JobExplainer
  /** Ends the worker: it finishes the images in progress, and gives back what is left of its chunks. */
  signal?: AbortSignal | undefined
  /** Called after each chunk that this worker took. */
  onChunk?: ((event: QueueChunkEvent) => void) | undefined
  /** Called with errors that do not end the worker, e.g. while the server cannot be reached. */
  onError?: ((error: Error) => void) | undefined
}

/** A worker that takes tasks of a queue. */
export interface QueueWorker {
  /** Its name in the queue: the host and the number of the process. */
  readonly name: string
  /** Resolves when it has ended. */
  readonly ended: Promise<void>
  /** Ends it, as its signal does. */
  close(): Promise<void>
}

/**
 * Starts a worker: it takes chunks of jobs (see {@link enqueueJob}) from a queue, explains them and writes the results, and
 * lists and merges jobs besides. Any number of workers on any machines may share a queue; each may die at any moment.
 *
 * Requires the packages `bullmq` and `ioredis` or `pg`.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT, ERR_TOOL_MISSING, ERR_QUEUE where the server cannot be reached,
 *   ERR_FILE_NOT_FOUND for a root that does not exist
 */
export async function startWorker(options: QueueWorkerOptions): Promise<QueueWorker> {
  const {
    queue,
    roots,
    modelRoots = roots,
    prefix = defaultPrefix,
    chunks = 2,
    maxWaiting = 256,
    lockSeconds = 30,
    graceSeconds = 30,
    explainer,
    signal,
    onChunk = () => {},
    onError = () => {},
    ...tuning
  } = expect.options(options)
  expect.strings('roots', roots, "['/data']")
  expect.strings('modelRoots', modelRoots, "['/models']")
  expect.count('chunks', chunks)
  expect.count('maxWaiting', maxWaiting)
  expect.number('lockSeconds', lockSeconds, { min: 1 })
  expect.number('graceSeconds', graceSeconds, { min: 0 })
  expect.function('onChunk', onChunk)
  expect.function('onError', onError)
  expect.signal(signal)
  if (explainer !== undefined && !isCallable(explainer)) expect.function('explainer', explainer)
  const explaining: ModelExplainerOptions = { ...tuning, maxWait: Infinity }
  const make = explainer ?? (() => new ModelExplainer(explaining))
  if (!explainer) void make() // refuses options that are invalid before anything begins
  const address = readQueueUrl(queue)

  const tools = {
    roots: await openRoots(roots, 'roots'),
    models: new ModelCache(make, await openRoots(modelRoots, 'model roots')),
    isolate: explainer ? null : isolateBy(explaining),
  }
  const server = await openQueue(address, prefix)
  const name = `${hostname()}-${process.pid}`
  const working = processTasks(server, tools, { name, chunks, maxWaiting, lockSeconds, graceSeconds, onChunk, onError })
  working.ready.catch(onError)
  await isInTime(working.ready, 10_000) // a connection that was never made cannot be closed
  let closing: Promise<void> | undefined
  const end = async (): Promise<void> => {
    await working.close()
    await tools.models.close()
    await server.close()
  }
  let settle: (closed: Promise<void>) => void = () => {}
  const ended = new Promise<void>((resolve) => (settle = resolve))
  const close = (): Promise<void> => {
    closing ??= end()
    settle(closing)
    return closing
  }
  ended.catch(() => {}) // close() tells it, too
  const onAbort = (): void => void close().catch(onError)
  if (signal?.aborted) onAbort()
  else signal?.addEventListener('abort', onAbort, { once: true })
  return { name, ended, close }
}

function openRoots(folders: readonly string[], what: string): Promise<Roots> {
  return Roots.open(folders, what).catch((cause: NodeJS.ErrnoException) => {
    throw new GradCamError('ERR_FILE_NOT_FOUND', `One of the ${what} cannot be used: ${cause.message}.`, { cause })
  })
}
