import { expect, isRecord, show } from '../base/check.js'
import { errorCodes, type GradCamErrorCode } from '../base/error-codes.js'
import { GradCamError } from '../base/errors.js'
import { inOneLine } from '../base/one-line.js'
import { checkBatchTarget, type BatchTarget } from '../batch/target.js'
import { isBelow } from '../jobs/file-names.js'
import type { JobEntry } from '../jobs/job.js'
import { ObjectImage } from '../storage/object-image.js'
import { isObjectUrl } from '../storage/object-url.js'
import { isVersions, type Versions } from './versions.js'

/** Of what lies in a queue. Workers refuse another one. */
export const taskVersion = 1

/** A whole job, as it lies in the queue: where its parts are, and nothing of its results. */
export interface JobTask {
  readonly version: number
  /** The folder of the results, which holds job.json: an absolute path, or s3://bucket/prefix. */
  readonly out: string
  /** SHA-256 of job.json. */
  readonly spec: string
  readonly sources: readonly string[]
  /** What relative paths start at: an absolute path. */
  readonly folder: string
  /** Inputs in a chunk. */
  readonly chunk: number
  /** Inputs that were done before. */
  readonly before: { readonly explained: number; readonly failed: number }
  /** When it was enqueued, in milliseconds since 1970. */
  readonly began: number
  /** Set to end it early. */
  readonly cancelled?: boolean
  /** What it was enqueued with; version 0.1.0 does not say it. */
  readonly versions?: Versions
}

/** One input as it lies in a queue. */
export interface TaskInput {
  readonly id: string
  readonly input: string
  readonly target?: BatchTarget
  readonly error?: { readonly code: string | null; readonly message: string }
}

/** Some of the inputs of a job, as they lie in the queue. */
export interface ChunkTask {
  readonly version: number
  /** The name of the job. */
  readonly job: string
  readonly out: string
  readonly spec: string
  /** Its number, from 0. */
  readonly chunk: number
  readonly inputs: readonly TaskInput[]
  /** What its job was enqueued with; version 0.1.0 does not say it. */
  readonly versions?: Versions
}

/** The most inputs that a chunk may have. */
export const largestChunk = 10_000

/** The name of a chunk's task: none but one has it, so that it is added once. BullMQ allows no colon. */
export function chunkId(job: string, chunk: number): string {
  return `${job}.${String(chunk).padStart(8, '0')}`
}

/** Throws ERR_QUEUE_REFUSED for anything else than a job's task. */
export function readJobTask(value: unknown): JobTask {
  return refusing(() => {
    const task = readCommon(value)
    const isPath = (one: unknown): one is string => typeof one === 'string' && !one.includes('\0')
    expect.list('sources', task['sources'], isPath, 'paths')
    expect.path('folder', task['folder'])
    expect.integer('chunk', task['chunk'], { min: 1, max: largestChunk })
    const { explained, failed } = expect.options(task['before'] as JobTask['before'], 'before')
    for (const count of [explained, failed]) expect.integer('before', count, { min: 0 })
    expect.integer('began', task['began'], { min: 0 })
    return task as unknown as JobTask
  })
}

/** Throws ERR_QUEUE_REFUSED for anything else than a chunk. */
export function readChunkTask(value: unknown): ChunkTask {
  return refusing(() => {
    const task = readCommon(value)
    expect.integer('chunk', task['chunk'], { min: 0, max: 99_999_999 })
    if (typeof task['job'] !== 'string' || !isJobName(task['job'])) throw new Error('`job` is not the name of a job')
    const inputs = expect.list('inputs', task['inputs'], isTaskInput, 'inputs with `id` and `input`')
    if (inputs.length === 0 || inputs.length > largestChunk) throw new Error(`it has ${inputs.length} inputs`)
    if (new Set(inputs.map(({ id }) => id)).size < inputs.length) throw new Error('two inputs have the same id')
    return task as unknown as ChunkTask
  })
}

/** Whether that can be the name of a job. */
export function isJobName(name: string): boolean {
  return /^[\w-][\w.-]{0,99}$/.test(name)
}

function readCommon(value: unknown): Readonly<Record<string, unknown>> {
  if (!isRecord(value)) throw new Error(`${show(value)} is not an object`)
  const { version, out, spec } = value
  if (version !== taskVersion)
    throw new Error(`it has the version ${show(version)}, and this version of the package reads ${taskVersion}`)
  expect.string('out', expect.path('out', out))
  if (value['versions'] !== undefined && !isVersions(value['versions'])) throw new Error('`versions` is malformed')
  if (typeof spec !== 'string' || !/^[0-9a-f]{64}$/.test(spec)) throw new Error('`spec` is not a SHA-256 digest')
  return value
}

function isTaskInput(value: unknown): value is TaskInput {
  if (!isRecord(value)) return false
  const { id, input, target, error } = value
  if (typeof id !== 'string' || !isBelow(id) || typeof input !== 'string' || input.includes('\0')) return false
  if (target !== undefined) checkBatchTarget(target as BatchTarget)
  if (error === undefined) return true
  return isRecord(error) && typeof error['message'] === 'string' && (error['code'] === null || isCode(error['code']))
}

function refusing<Read>(read: () => Read): Read {
  try {
    return read()
  } catch (cause) {
    throw new GradCamError('ERR_QUEUE_REFUSED', `A task of the queue is refused: ${inOneLine(cause)}`, { cause })
  }
}

export function isCode(code: unknown): code is GradCamErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorCodes, code)
}

/** An entry of a source as a queue holds it. */
export function toTaskInput({ id, input, target, error }: JobEntry): TaskInput {
  const code = error instanceof GradCamError ? error.code : null
  return {
    id,
    input,
    ...(target !== undefined && { target }),
    ...(error && { error: { code, message: inOneLine(error) } }),
  }
}

export function toEntry({ error, ...rest }: TaskInput): JobEntry {
  if (!error) return isObjectUrl(rest.input) ? { ...rest, source: new ObjectImage(rest.input) } : rest
  return { ...rest, error: isCode(error.code) ? new GradCamError(error.code, error.message) : new Error(error.message) }
}
