import type { Job } from 'bullmq'
import { GradCamError } from '../base/errors.js'
import type { QueueServer } from './connection.js'
import { chunkId, isCode, taskVersion, type ChunkTask, type JobTask, type TaskInput } from './task.js'

/** Days that the record of a job that has ended stays in the queue. */
const keptDays = 7
const kept = { age: keptDays * 24 * 3600 }

/** How tasks are kept: of a chunk that is done the folder of the results tells, and nothing stays in the queue. */
const chunkOptions = {
  attempts: 3,
  backoff: { type: 'exponential', delay: 1000 },
  removeOnComplete: true,
  removeOnFail: kept,
} as const
const jobOptions = { ...chunkOptions, removeOnComplete: kept } as const

/** Adds the task of a job. One that has ended makes room; one that is at work stays. */
export async function addJob(server: QueueServer, name: string, task: JobTask): Promise<void> {
  await removeEnded(await server.jobs.getJob(name))
  await server.jobs.add('job', task, { jobId: name, ...jobOptions })
}

/** Adds the task of a chunk, unless it is there. */
export async function addChunk(
  server: QueueServer,
  { name, task, chunk }: { readonly name: string; readonly task: JobTask; readonly chunk: number },
  inputs: readonly TaskInput[],
): Promise<void> {
  const { out, spec, versions } = task
  const data: ChunkTask = { version: taskVersion, job: name, out, spec, chunk, inputs, ...(versions && { versions }) }
  const jobId = chunkId(name, chunk)
  await server.chunks.add('chunk', data, { jobId, ...chunkOptions })
}

/** Removes the chunks of a job that were given up, so that they are tried again. */
export async function removeFailedChunks(server: QueueServer, name: string): Promise<void> {
  for (const job of await server.chunks.getJobs(['failed'])) if (job.id?.startsWith(`${name}.`)) await removeEnded(job)
}

async function removeEnded(job: Job | undefined): Promise<void> {
  const state = await job?.getState()
  if (state === 'completed' || state === 'failed') await job?.remove()
}

/** Of a chunk that is not done: whether the queue has it, has lost it, or gave it up with an error. */
export async function errorOfTask(
  server: QueueServer,
  name: string,
  chunk: number,
): Promise<'there' | 'lost' | GradCamError> {
  const state = await server.chunks.getJobState(chunkId(name, chunk))
  if (state !== 'failed') return state === 'unknown' ? 'lost' : 'there'
  return toError((await server.chunks.getJob(chunkId(name, chunk)))?.failedReason)
}

/** The error that a task failed with, from the text that the queue keeps of it. */
export function toError(reason: string | undefined): GradCamError {
  const [, code, text] = /^(ERR_[A-Z_]+): ([^]*)$/.exec(reason ?? '') ?? []
  if (isCode(code)) return new GradCamError(code, text as string)
  return new GradCamError('ERR_QUEUE', `A task of the queue failed: ${reason ?? 'no reason is known'}.`)
}
