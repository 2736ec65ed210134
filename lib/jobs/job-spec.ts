import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { isDeepStrictEqual } from 'node:util'
import { GradCamError } from '../base/errors.js'
import { usageError } from '../cli/arguments.js'
import type { BatchJob } from '../cli/batch-options.js'

/** job.json: all that decides what the results of a job are, and how its inputs are called. */
export interface JobFile {
  readonly model: { readonly path: string; readonly sha256: string }
  readonly method: string
  readonly precision: string | null
  readonly layer: string | null
  readonly target: number | string
  readonly preprocess: unknown
  readonly write: readonly string[]
  readonly alpha: number
  readonly labels: readonly string[] | null
  readonly sources: readonly string[]
  readonly base: string
}

const fileName = 'job.json'

/** @param base the folder that the names of the inputs start at */
export async function describeJob(job: BatchJob, base: string): Promise<JobFile> {
  const { method, precision, layer, target, preprocess, write, alpha, labels } = job
  // As a shell completes them or not: 'photos/', './photos'.
  const sources = job.sources.map((source) => normalize(source).replace(/(.)[/\\]$/, '$1'))
  const model = { path: job.model, sha256: await digestOf(job.model) }
  return { model, method, precision, layer, target, preprocess, write, alpha, labels, sources, base }
}

export function toBytes(job: JobFile): Buffer {
  return Buffer.from(`${JSON.stringify(job, null, 2)}\n`)
}

export { fileName as jobFileName }

/** The job that a folder holds, or null. */
export async function readJobFile(folder: string): Promise<JobFile | null> {
  const text = await readFile(join(folder, fileName), 'utf8').catch(() => null)
  if (text === null) return null
  try {
    return JSON.parse(text) as JobFile
  } catch (cause) {
    throw new GradCamError('ERR_FILE_UNREADABLE', `'${join(folder, fileName)}' is damaged. Name another --out.`, {
      cause,
    })
  }
}

/** Refuses to go on with a job that would give other results now. */
export function checkUnchanged(before: JobFile, now: JobFile): void {
  const changes = Object.keys(now).flatMap((key) => {
    const name = key as keyof JobFile
    // A copy of the model elsewhere is the same model.
    if (name === 'model')
      return before.model.sha256 === now.model.sha256 ? [] : [`model: ${before.model.path} has changed`]
    if (isDeepStrictEqual(before[name], JSON.parse(JSON.stringify(now[name])))) return []
    return [difference(name, before[name], now[name])]
  })
  if (changes.length > 0)
    throw usageError(
      `This is not the job that is to be resumed; ${changes.join('; ')}. Give the same options, or another --out.`,
    )
}

/** Of long lists only how long they are and what differs first: there may be a thousand labels. */
function difference(name: string, before: unknown, now: unknown): string {
  const isLong = [before, now].some((value) => Array.isArray(value) && value.length > 8)
  if (!isLong || !Array.isArray(before) || !Array.isArray(now))
    return `${name}: ${shortly(before)} before, ${shortly(now)} now`
  const counts = before.length === now.length ? '' : `${name}: ${before.length} before, ${now.length} now; `
  const at = Array.from({ length: Math.max(before.length, now.length) }, (_, i) => i).find((i) => before[i] !== now[i])
  return at === undefined ? name : `${counts}${name}[${at}]: ${shortly(before[at])} before, ${shortly(now[at])} now`
}

function shortly(value: unknown): string {
  if (value === undefined) return 'none'
  if (Array.isArray(value) && value.length > 8) return `${value.length} entries`
  return JSON.stringify(value)
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash).catch((cause: NodeJS.ErrnoException) => {
    const missing = cause.code === 'ENOENT'
    throw new GradCamError(
      missing ? 'ERR_FILE_NOT_FOUND' : 'ERR_FILE_UNREADABLE',
      `The model '${file}' ${missing ? 'does not exist' : `cannot be read (${cause.code ?? cause.message})`}. Check --model.`,
      { cause },
    )
  })
  return hash.digest('hex')
}
