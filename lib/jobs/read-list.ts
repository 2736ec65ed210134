import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { checkBatchTarget, type BatchTarget } from '../batch/target.js'
import { GradCamError } from '../base/errors.js'
import { isObjectUrl } from '../storage/object-url.js'
import { parseTarget } from '../target/labels.js'
import type { FileEntry } from './entry-id.js'

/** Whether a file is a list of images rather than an image. */
export function isListName(path: string): boolean {
  return /\.(txt|list|tsv|jsonl|ndjson)$/i.test(path)
}

/**
 * The entries of a list, one a line: a path; a path, a tab and a target; or a JSON object with "path" and optionally
 * "target", which may be plain data with a kind. Relative paths start at the current folder. Empty lines are skipped. A line
 * that cannot be read is an entry with an error.
 *
 * @param list a path, or a stream such as standard input
 * @param labels the label of each class, for targets by label
 * @param folder what relative paths start at
 */
export async function* readList(
  list: string | NodeJS.ReadableStream,
  labels: readonly string[] | null,
  folder: string = process.cwd(),
): AsyncGenerator<FileEntry, undefined> {
  const name = typeof list === 'string' ? list : null
  const stream: NodeJS.ReadableStream = typeof list === 'string' ? createReadStream(resolve(folder, list)) : list
  // readline does not report the errors of its stream.
  let failure: NodeJS.ErrnoException | null = null
  stream.on('error', (error: NodeJS.ErrnoException) => (failure = error))
  const lines = createInterface({ input: stream, crlfDelay: Infinity })
  stream.once('error', () => lines.close())
  let number = 0
  for await (const text of lines) {
    number++
    const line = number === 1 ? text.replace(/^\uFEFF/, '') : text // the byte order mark that Windows writes
    if (line.trim() === '') continue
    try {
      const entry = readLine(line, labels)
      yield isObjectUrl(entry.path) ? entry : { ...entry, path: resolve(folder, entry.path) }
    } catch (error) {
      yield { path: resolve(folder, `${name ?? 'standard input'}:${number}`), error: badLine(name, number, error) }
    }
  }
  const cause = failure as NodeJS.ErrnoException | null
  if (cause) {
    const why = cause.code === 'ENOENT' ? 'does not exist' : `cannot be read (${cause.code ?? cause.message})`
    const code = cause.code === 'ENOENT' ? 'ERR_FILE_NOT_FOUND' : 'ERR_FILE_UNREADABLE'
    throw new GradCamError(code, `The list '${name ?? 'standard input'}' ${why}.`, { cause })
  }
}

function readLine(line: string, labels: readonly string[] | null): FileEntry {
  if (!line.startsWith('{')) {
    const [path = '', target] = line.split('\t')
    return toEntry(path, target?.trim(), labels)
  }
  const { path, target } = JSON.parse(line) as { path?: unknown; target?: unknown }
  if (typeof path !== 'string' || path === '') throw new Error('it has no "path"')
  if (typeof target === 'object' && target !== null) {
    checkBatchTarget(target as BatchTarget)
    return { path, target: target as BatchTarget }
  }
  if (target !== undefined && target !== null && typeof target !== 'number' && typeof target !== 'string')
    throw new Error('its "target" is not a number, a string or an object')
  return toEntry(path, target === undefined || target === null ? undefined : String(target), labels)
}

function toEntry(path: string, target: string | undefined, labels: readonly string[] | null): FileEntry {
  const own: BatchTarget | undefined = target ? parseTarget(target, labels) : undefined
  return { path, ...(own !== undefined && { target: own }) }
}

function badLine(name: string | null, number: number, cause: unknown): GradCamError {
  const where = name === null ? 'standard input' : `'${name}'`
  const why = (cause as Error).message.replace(/\.?$/, '.')
  return new GradCamError(
    'ERR_INVALID_ARGUMENT',
    `Line ${number} of ${where} cannot be read: ${why} Write a path, a path, a tab and a target, or {"path": …, "target": …}.`,
    { cause },
  )
}
