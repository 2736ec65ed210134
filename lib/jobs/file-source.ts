import { realpath, stat } from 'node:fs/promises'
import { basename, dirname, relative, resolve } from 'node:path'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { commonObjectFolder, folderUrl, isInFolder, isObjectUrl } from '../storage/object-url.js'
import { ObjectImage } from '../storage/object-image.js'
import { commonFolder, entryId, leadsOut, type FileEntry } from './entry-id.js'
import type { JobEntry, JobPlan, JobSource } from './job.js'
import { isListName, readList } from './read-list.js'
import { findObjects, walkBucket } from './walk-bucket.js'
import { walkFolder } from './walk-folder.js'

const isString = (value: unknown): value is string => typeof value === 'string'
const isPath = (value: unknown): value is string => isString(value) && !value.includes('\0')

/** What one of the given names turned out to be. */
type Input =
  | { readonly kind: 'list'; readonly path: string }
  | { readonly kind: 'stdin'; readonly stream: NodeJS.ReadableStream }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'object' | 'objects'; readonly path: string }
  | { readonly kind: 'glob'; readonly path: string; readonly paths: readonly string[] }

/** Options of {@link FileSource.open}. */
export interface FileSourceOptions {
  /** The label of each class: lists may then give targets by label. */
  labels?: readonly string[] | null
  /**
   * The folder of the results, on a disk or in a storage: its files are not inputs, and it must not be or contain a folder of
   * inputs.
   */
  exclude: string
  /** A stream that the name '-' stands for: a list as in a file. Without it '-' is a file name like any other. */
  stdin?: NodeJS.ReadableStream
  /** What relative paths start at; the current folder by default. */
  folder?: string
}

/**
 * The images in files: single images, folders with everything in them, globs, and lists of paths; or in an object storage:
 * s3://bucket/key, or s3://bucket/prefix with everything below it. Arrays (.npy) in folders count where the model takes what
 * images cannot hold. Objects require the package `@aws-sdk/client-s3`, and are fetched when their turn comes.
 */
export class FileSource implements JobSource {
  private constructor(
    private readonly inputs: readonly Input[],
    /** The folder that the ids of the entries start at. */
    readonly base: string,
    private readonly options: FileSourceOptions,
  ) {}

  /**
   * Finds out what each name is: an image, a folder, a glob such as 'photos/*.jpg', or a list (.txt, .list, .tsv,
   * .jsonl, .ndjson). A path that does not exist and is not a glob is an entry that fails.
   *
   * A line of a list is a path or an address s3://…; one of these, a tab and a target; or a JSON object
   * {"path": …, "target": …}. Relative paths start at the current folder.
   *
   * @throws GradCamError ERR_INVALID_ARGUMENT for a table (.csv, .json), for a folder of inputs in the folder of the
   *   results, and for files and objects together, ERR_FILE_NOT_FOUND for a list that does not exist and a glob or prefix that
   *   matches nothing, ERR_TOOL_MISSING and ERR_STORAGE for objects
   */
  static async open(names: readonly string[], options: FileSourceOptions): Promise<FileSource> {
    const paths = expect.list('names', names, isPath, 'paths')
    const { labels = null, exclude, stdin, folder = process.cwd() } = expect.options(options)
    expect.path('folder', folder)
    expect.path('exclude', exclude)
    if (labels !== null) expect.list('labels', labels, isString, 'strings')
    const objects = paths.filter(isObjectUrl).length
    if (objects > 0 && objects < paths.length)
      throw new GradCamError('ERR_INVALID_ARGUMENT', 'A job takes files or objects (s3://), not both.', {
        remedy: 'Run a job for each, or name all of them in a list.',
      })
    const inputs = await Promise.all(paths.map((name) => inputOf(name, folder, stdin)))
    if (objects > 0) {
      for (const { kind, path } of inputs.filter(isWithPath))
        if (kind === 'objects' && isObjectUrl(exclude) && isInFolder(path, folderUrl(exclude)))
          throw resultsHoldInputs(exclude, path, `${path.slice(0, -1)}-maps`)
      const folders = inputs
        .filter(isWithPath)
        .map(({ kind, path }) => (kind === 'objects' ? path : path.slice(0, path.lastIndexOf('/') + 1)))
      return new FileSource(inputs, commonObjectFolder(folders), options)
    }
    const starts = inputs.flatMap((input) => {
      if (input.kind === 'list' || input.kind === 'stdin') return [folder]
      return [input.kind === 'file' ? dirname(input.path) : input.path]
    })
    for (const input of inputs)
      if ((input.kind === 'folder' || input.kind === 'glob') && !isObjectUrl(exclude))
        await refuseWithin(input.path, exclude)
    return new FileSource(inputs, commonFolder(starts), options)
  }

  /** Whether the entries can be listed again, e.g. to count them: not those of a stream. */
  get repeatable(): boolean {
    return !this.inputs.some(({ kind }) => kind === 'stdin')
  }

  /**
   * Every input, each once.
   *
   * @param plan with `arrays` folders are also searched for arrays (.npy)
   * @throws GradCamError ERR_FILE_NOT_FOUND or ERR_FILE_UNREADABLE for a list; other errors are entries that fail
   */
  async *entries(plan: Pick<JobPlan, 'arrays'> = {}): AsyncGenerator<JobEntry, undefined> {
    const { arrays = false } = expect.options(plan, 'plan')
    // A folder and a glob name each file once, of which there may be more than fit into memory.
    const seen =
      this.inputs.length > 1 || this.inputs.some(({ kind }) => kind === 'list' || kind === 'stdin')
        ? new Set<string>()
        : null
    for (const input of this.inputs) {
      for await (const entry of this.#entriesOf(input, arrays)) {
        const id = entryId(entry, this.base)
        if (seen?.has(id)) continue
        seen?.add(id)
        const { path, ...rest } = entry
        yield { id, input: path, ...(isObjectUrl(path) && { source: new ObjectImage(path) }), ...rest }
      }
    }
  }

  /** The folders and lists that the inputs are found in. */
  get roots(): readonly string[] {
    return this.inputs
      .filter(isWithPath)
      .map(({ path }) => (isObjectUrl(path) ? path : resolve(this.options.folder ?? '', path)))
  }

  /** How many inputs there are: see {@link entries}. */
  async count(plan: Pick<JobPlan, 'arrays'> = {}): Promise<number> {
    let count = 0
    for await (const _ of this.entries(plan)) count++
    return count
  }

  async *#entriesOf(input: Input, arrays: boolean): AsyncGenerator<FileEntry, undefined> {
    const { labels = null, folder } = this.options
    const exclude = resolve(this.options.exclude)
    if (input.kind === 'list') yield* readList(input.path, labels, folder)
    else if (input.kind === 'stdin') yield* readList(input.stream, labels, folder)
    else if (input.kind === 'folder') yield* walkFolder(input.path, exclude, { arrays })
    else if (input.kind === 'objects') yield* walkBucket(input.path, this.options.exclude, { arrays })
    else if (input.kind === 'file' || input.kind === 'object') yield { path: input.path }
    else if (input.kind === 'glob') for (const path of input.paths) if (!path.startsWith(`${exclude}/`)) yield { path }
  }
}

const isWithPath = (input: Input): input is Exclude<Input, { kind: 'stdin' }> => input.kind !== 'stdin'

async function inputOf(name: string, folder: string, stdin: NodeJS.ReadableStream | undefined): Promise<Input> {
  if (name === '-' && stdin) return { kind: 'stdin', stream: stdin }
  if (isObjectUrl(name)) return await findObjects(name)
  const path = resolve(folder, name)
  const found = await stat(path).catch(() => null)
  if (found?.isDirectory()) return { kind: 'folder', path }
  if (/\.(csv|json)$/i.test(name))
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `'${name}' is not a list. Write a path a line (.txt), a path, a tab and a target (.tsv), or JSON Lines (.jsonl).`,
    )
  if (found) return isListName(path) ? { kind: 'list', path: name } : { kind: 'file', path }
  const { glob, isDynamicPattern } = await import('tinyglobby')
  if (!isDynamicPattern(name)) {
    if (!isListName(path)) return { kind: 'file', path }
    throw new GradCamError('ERR_FILE_NOT_FOUND', `The list '${name}' does not exist.`)
  }
  const paths = await glob(name, { cwd: folder, absolute: true, expandDirectories: false, onlyFiles: true })
  if (paths.length === 0) throw new GradCamError('ERR_FILE_NOT_FOUND', `Nothing matches '${name}'.`)
  return {
    kind: 'glob',
    path: resolve(folder, fixedPart(name, isDynamicPattern)),
    paths: paths.map((one) => resolve(one)).sort(),
  }
}

/** The folder that a glob names before its first wildcard: it stays the same when other files match. */
function fixedPart(pattern: string, isDynamicPattern: (part: string) => boolean): string {
  const segments = pattern.split('/')
  const wild = segments.findIndex((segment) => isDynamicPattern(segment))
  return segments.slice(0, wild < 0 ? -1 : wild).join('/') || (pattern.startsWith('/') ? '/' : '.')
}

/** Inputs in the folder of the results would have no end: each run would find the results of the last one. */
async function refuseWithin(folder: string, results: string): Promise<void> {
  const real = await realpath(folder)
  const below = relative(await realpath(results).catch(() => resolve(results)), real)
  if (!leadsOut(below)) throw resultsHoldInputs(results, below === '' ? results : real, `${basename(real)}-maps`)
}

function resultsHoldInputs(results: string, inputs: string, better: string): GradCamError {
  const how = inputs.replace(/\/$/, '') === results.replace(/\/$/, '') ? 'is' : 'contains'
  return new GradCamError(
    'ERR_INVALID_ARGUMENT',
    `The folder of the results, '${results}', ${how} the folder of the images, so results would be taken for images. ` +
      `Choose a folder of its own, e.g. '${better}'.`,
  )
}
