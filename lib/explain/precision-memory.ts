import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { availableParallelism, cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { native } from '../addon/native.js'
import { precisionFolder } from '../base/cache-folder.js'
import { isRecord } from '../base/check.js'
import { writeWhole } from '../base/write-file.js'
import type { PrecisionTrial } from './precision-choice.js'

/** What a measurement depends on. */
export interface PrecisionQuestion {
  /** The model's: see native/core/model/fingerprint.h. */
  readonly fingerprint: string
  readonly device: string
  /** The plan of the pass. */
  readonly plan: unknown
  /** The shapes of the inputs, without the number of images. */
  readonly shapes: readonly (readonly number[])[]
}

/** A measurement that was written down. */
export interface PrecisionRecord {
  readonly fingerprint: string
  readonly layers: readonly string[]
  readonly methods: readonly string[]
  readonly shapes: readonly (readonly number[])[]
  /** How many images were explained at a time. */
  readonly images: number
  /** When it was measured, as ISO 8601 has it. */
  readonly measured: string
  readonly trials: readonly PrecisionTrial[]
}

/** The version of the records: raised when they hold something else, so that old ones are not found. */
const version = 1

/** Where a measurement of this machine is kept: other software, another processor or another share of it measure again. */
export function recordPath(question: PrecisionQuestion): string {
  const { torchVersion, threads } = native().info()
  const machine = { processor: cpus()[0]?.model ?? '', processors: availableParallelism(), threads, torchVersion }
  const key = createHash('sha256').update(JSON.stringify({ version, machine, question })).digest('hex')
  return join(precisionFolder(), `${key}.json`)
}

/** Writes a record down. A folder that cannot be written costs a measurement by the next process, and no more. */
export async function writeRecord(path: string, record: PrecisionRecord): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeWhole(path, `${JSON.stringify(record, null, 2)}\n`)
  } catch {
    // E.g. a read-only home of a container.
  }
}

/** All records of a model, the newest first. */
export async function recordsOf(fingerprint: string): Promise<PrecisionRecord[]> {
  const names = await readdir(precisionFolder()).catch(() => [])
  const records = await Promise.all(
    names.filter((n) => n.endsWith('.json')).map((n) => readRecord(join(precisionFolder(), n))),
  )
  return records
    .filter((record) => record !== null)
    .filter((record) => record.fingerprint === fingerprint)
    .sort((a, b) => b.measured.localeCompare(a.measured))
}

/** The record at a path; null where there is none that can be read. */
export async function readRecord(path: string): Promise<PrecisionRecord | null> {
  try {
    const record: unknown = JSON.parse(await readFile(path, 'utf8'))
    return isPrecisionRecord(record) ? record : null
  } catch {
    return null
  }
}

function isPrecisionRecord(value: unknown): value is PrecisionRecord {
  if (!isRecord(value) || !Array.isArray(value['trials']) || value['trials'].length === 0) return false
  const { fingerprint, measured, images, layers, methods, shapes, trials } = value
  return (
    typeof fingerprint === 'string' &&
    typeof measured === 'string' &&
    typeof images === 'number' &&
    [layers, methods, shapes].every(Array.isArray) &&
    trials.every(isTrial)
  )
}

const dtypes: readonly unknown[] = ['float32', 'bfloat16', 'float16']

function isTrial(value: unknown): value is PrecisionTrial {
  if (!isRecord(value)) return false
  const { dtype, milliseconds, error, refused } = value
  const isFigure = (figure: unknown): boolean => figure === null || (typeof figure === 'number' && figure >= 0)
  const isText = refused === undefined || typeof refused === 'string'
  return dtypes.includes(dtype) && isFigure(milliseconds) && isFigure(error) && isText
}
