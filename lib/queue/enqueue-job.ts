import { createHash } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { storeFor } from '../jobs/bucket-store.js'
import type { JobSpec } from '../jobs/job-spec.js'
import { folderUrl, isObjectUrl } from '../storage/object-url.js'
import { defaultPrefix, openQueue } from './connection.js'
import { JobHandle } from './job-handle.js'
import { readQueueUrl } from './queue-url.js'
import { digestOfSpec } from './read-spec.js'
import { largestChunk, taskVersion, type JobTask } from './task.js'
import { addJob, removeFailedChunks } from './tasks.js'
import { openWorkspace } from './open-workspace.js'
import { ownVersions } from './versions.js'

/** Options of {@link enqueueJob}. */
export interface EnqueueOptions {
  /** The address of the queue: redis://, rediss:// (TLS), postgres:// or postgresql://. */
  queue: string
  /** The folder of the results, which all workers must see at the same path; or s3://bucket/prefix. */
  out: string
  /** The inputs, as `FileSource` takes them: images, folders, globs and lists, which all workers must see. */
  source: readonly string[]
  /** Inputs in a chunk: what a worker takes at a time. 64 by default. */
  chunk?: number
  /** Whether a job that the folder holds is resumed. False by default: a folder with results is refused. */
  resume?: boolean
  /** With `resume`, whether inputs that failed before are tried again. False by default. */
  retryFailed?: boolean
  /** With `resume`: see `FolderStoreOptions`. */
  verify?: boolean
  /** What the queue is called on its server; 'gradcam' by default. */
  prefix?: string
  /** Ends watching: the job goes on. */
  signal?: AbortSignal | undefined
}

/**
 * Enqueues a job for workers (see {@link startWorker}) and returns at once: they list the inputs, explain them and write the
 * results, and in the end the manifest, as `runJob` does with a `FolderStore` and a `FolderSink`.
 *
 * Requires the packages `bullmq` and `ioredis` or `pg`.
 *
 * ```ts
 * const source = await FileSource.open(['/data/photos'], { exclude: '/data/maps' })
 * const spec = await makeJobSpec({ model: '/models/model.pt', sources: ['/data/photos'], base: source.base })
 * await using job = await enqueueJob(spec, { queue: 'redis://host:6379', out: '/data/maps', source: ['/data/photos'] })
 * const summary = await job.result({
 *   onProgress: ({ explained, inputs }) => console.log(`${explained} of ${inputs}`),
 * })
 * ```
 *
 * @param spec its `base` must be that of the source
 * @throws GradCamError ERR_INVALID_ARGUMENT, ERR_TOOL_MISSING, ERR_QUEUE where the server cannot be reached; what
 *   {@link FolderStore.claim} throws
 */
export async function enqueueJob(spec: JobSpec, options: EnqueueOptions): Promise<JobHandle> {
  expect.options(spec, 'spec')
  const { queue, source, chunk = 64, prefix = defaultPrefix, signal } = expect.options(options)
  const { resume = false, retryFailed = false, verify = false } = options
  const given = expect.path('out', options.out)
  const out = isObjectUrl(given) ? folderUrl(given, 'out').replace(/\/$/, '') : resolve(given)
  const sources = expect.strings('source', source, "['photos']")
  expect.integer('chunk', chunk, { min: 1, max: largestChunk })
  expect.signal(signal)
  if (sources.includes('-'))
    throw new GradCamError('ERR_INVALID_ARGUMENT', 'Workers cannot read the standard input of this process.', {
      remedy: 'Write the list to a file that they see.',
    })
  if (spec.precision === 'auto')
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      "Workers may choose differently with precision 'auto', and so give other maps.",
      {
        remedy: "Name 'bfloat16' or 'float16', or leave `precision` out.",
      },
    )
  const address = readQueueUrl(queue)
  // First, so that a server that cannot be reached leaves the folder as it is.
  const server = await openQueue(address, prefix)
  try {
    const store = storeFor(out, { resume, retryFailed, verify, queue: true })
    const { done } = await store.claim(withAbsolutePaths(spec))
    try {
      const workspace = openWorkspace(out)
      await workspace.make()
      await workspace.resume()
      const name = await nameOf(out)
      await removeFailedChunks(server, name)
      const explained = Array.from(done.values()).filter(Boolean).length
      const task: JobTask = {
        version: taskVersion,
        out,
        spec: (await digestOfSpec(workspace)) ?? '',
        sources,
        folder: process.cwd(),
        chunk,
        before: { explained, failed: done.size - explained },
        began: Date.now(),
        versions: ownVersions(),
      }
      await addJob(server, name, task)
      return new JobHandle(server, name, signal)
    } finally {
      await store.close()
    }
  } catch (error) {
    await server.close()
    throw error
  }
}

/** The files of the model, as workers find them. */
function withAbsolutePaths(spec: JobSpec): JobSpec {
  const { model, inputs } = spec
  const absolute = <Named extends { readonly path: string }>(one: Named): Named => ({
    ...one,
    path: isObjectUrl(one.path) ? one.path : resolve(one.path),
  })
  return {
    ...spec,
    model: absolute(model),
    ...(inputs && {
      inputs: inputs.map((one) => (typeof one === 'object' && one !== null ? absolute(one) : one)),
    }),
  }
}

/** The name of the job of a folder: the same for each call, so that a job is enqueued once. */
async function nameOf(out: string): Promise<string> {
  const digest = createHash('sha256')
    .update(isObjectUrl(out) ? out : await realpath(out))
    .digest('hex')
    .slice(0, 8)
  const name = basename(out)
    .replace(/[^\w-]+/g, '-')
    .slice(0, 60)
  return `${name.replace(/^-+/, '') || 'job'}-${digest}`
}
