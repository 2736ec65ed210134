import { hostname } from 'node:os'
import { tensorMemory } from '../addon/runtime.js'
import { expect, isCallable } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import type { JobExplainer } from '../jobs/job.js'
import { ModelExplainer, type ModelExplainerOptions } from '../jobs/model-explainer.js'
import type { QueueChunkEvent } from './chunk-event.js'
import { defaultPrefix, openQueue, type QueueServer } from './connection.js'
import { isInTime } from './in-time.js'
import { isolateBy } from './isolate.js'
import { ModelCache } from './model-cache.js'
import { noObserver } from './observer.js'
import { metricsPackage } from './packages.js'
import { processTasks } from './process-tasks.js'
import { readQueueUrl } from './queue-url.js'
import { Roots } from './roots.js'
import { ownVersions, type OtherVersions } from './versions.js'
import { WorkerMetrics } from './worker-metrics.js'

/** Options of {@link startWorker}. */
export interface QueueWorkerOptions extends Omit<ModelExplainerOptions, 'model' | 'maxWait'> {
  /** The address of the queue: redis://, rediss:// (TLS), postgres:// or postgresql://. */
  queue: string
  /** The folders that images and results may be in; s3://bucket/prefix, too. A task that names others is refused. */
  roots: readonly string[]
  /** The folders that models may be in, also s3://bucket/prefix; `roots` by default. */
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
  /**
   * What is done with jobs that were enqueued with another version of this package or of LibTorch (2.13.0 and 2.13.1; not +cpu and
   * +cu130): 'refuse', the default, ends the job with ERR_QUEUE_REFUSED; 'record' explains, and notes the own versions in each line.
   */
  otherVersions?: OtherVersions
  /**
   * Where to offer metrics for Prometheus, at the path /metrics: a port, 0 for any, and a host, by default 127.0.0.1, which other
   * machines cannot reach. None by default. It requires the package `prom-client`.
   */
  metrics?: { readonly port: number; readonly host?: string }
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
  /** The port of its metrics; null where it offers none. */
  readonly metricsPort: number | null
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
    otherVersions = 'refuse',
    metrics,
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
  expect.oneOf('otherVersions', otherVersions, ['refuse', 'record'])
  const { port = null, host = '127.0.0.1' } = metrics === undefined ? {} : expect.options(metrics, 'metrics')
  if (port !== null) expect.integer('metrics.port', port, { min: 0, max: 65_535 })
  expect.string('metrics.host', host)
  expect.function('onChunk', onChunk)
  expect.function('onError', onError)
  expect.signal(signal)
  if (explainer !== undefined && !isCallable(explainer)) expect.function('explainer', explainer)
  const explaining: ModelExplainerOptions = { ...tuning, maxWait: Infinity }
  const make = explainer ?? (() => new ModelExplainer(explaining))
  if (!explainer) void make() // refuses options that are invalid before anything begins
  const address = readQueueUrl(queue)

  const prometheus = port === null ? null : await metricsPackage()
  const checked = {
    roots: await openRoots(roots, 'roots'),
    models: new ModelCache(make, await openRoots(modelRoots, 'model roots'), tuning.modelCache),
    isolate: explainer ? null : isolateBy(explaining),
  }
  const server = await openQueue(address, prefix)
  const observer =
    prometheus &&
    new WorkerMetrics(prometheus, {
      waiting: () => server.chunks.getWaitingCount(),
      tensorBytes: explainer ? () => 0 : heldByTensors,
    })
  const offered = observer && port !== null ? await offer(observer, { host, port }, server) : null
  const tools = { ...checked, versions: ownVersions(), otherVersions, observer: observer ?? noObserver }
  const name = `${hostname()}-${process.pid}`
  const working = processTasks(server, tools, { name, chunks, maxWaiting, lockSeconds, graceSeconds, onChunk, onError })
  working.ready.catch(onError)
  await isInTime(working.ready, 10_000) // a connection that was never made cannot be closed
  let closing: Promise<void> | undefined
  const end = async (): Promise<void> => {
    await working.close()
    await tools.models.close()
    await server.close()
    offered?.close()
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
  return { name, metricsPort: offered?.port ?? null, ended, close }
}

function heldByTensors(): number {
  const { live, idle } = tensorMemory()
  return live + idle
}

async function offer(
  metrics: WorkerMetrics,
  { host, port }: { readonly host: string; readonly port: number },
  server: QueueServer,
): Promise<{ readonly port: number; readonly close: () => void }> {
  try {
    return await metrics.serve(host, port)
  } catch (error) {
    await server.close()
    throw error
  }
}

function openRoots(folders: readonly string[], what: string): Promise<Roots> {
  return Roots.open(folders, what).catch((cause: NodeJS.ErrnoException) => {
    if (cause instanceof GradCamError) throw cause
    throw new GradCamError('ERR_FILE_NOT_FOUND', `One of the ${what} cannot be used: ${cause.message}.`, { cause })
  })
}
