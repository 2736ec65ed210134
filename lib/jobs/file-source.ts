import { realpath, stat } from 'node:fs/promises'
import { basename, dirname, relative, resolve } from 'node:path'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { commonFolder, entryId, leadsOut, type FileEntry } from './entry-id.js'
import type { JobEntry, JobPlan, JobSource } from './job.js'
import { isListName, readList } from './read-list.js'
import { walkFolder } from './walk-folder.js'

const isString = (value: unknown): value is string => typeof value === 'string'
const isPath = (value: unknown): value is string => isString(value) && !value.includes('\0')

/** What one of the given names turned out to be. */
type Input =
  | { readonly kind: 'list'; readonly path: string }
  | { readonly kind: 'stdin'; readonly stream: NodeJS.ReadableStream }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'glob'; readonly path: string; readonly paths: readonly string[] }

/** Options of {@link FileSource.open}. */
export interface FileSourceOptions {
  /** The label of each class: lists may then give targets by label. */
  labels?: readonly string[] | null
  /** The folder of the results: its files are not inputs, and it must not be or contain a folder of inputs. */
  exclude: string
  /** A stream that the name '-' stands for: a list as in a file. Without it '-' is a file name like any other. */
  stdin?: NodeJS.ReadableStream
  /** What relative paths start at; the current folder by default. */
  folder?: string
}

/**
 * The images in files: single images, folders with everything in them, globs, and lists of paths. Arrays (.npy) in folders
 * count where the model takes what images cannot hold.
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
   * A line of a list is a path; a path, a tab and a target; or a JSON object {"path": …, "target": …}. Relative paths start
   * at the current folder.
   *
   * @throws GradCamError ERR_INVALID_ARGUMENT for a table (.csv, .json) and for a folder of inputs in the folder of the
   *   results, ERR_FILE_NOT_FOUND for a list that does not exist and a glob that matches nothing
   */
  static async open(names: readonly string[], options: FileSourceOptions): Promise<FileSource> {
    const paths = expect.list('names', names, isPath, 'paths')
    const { labels = null, exclude, stdin, folder = process.cwd() } = expect.options(options)
    expect.path('folder', folder)
    expect.path('exclude', exclude)
    if (labels !== null) expect.list('labels', labels, isString, 'strings')
    const inputs = await Promise.all(paths.map((name) => inputOf(name, folder, stdin)))
    const starts = inputs.flatMap((input) => {
      if (input.kind === 'list' || input.kind === 'stdin') return [folder]
      return [input.kind === 'file' ? dirname(input.path) : input.path]
    })
    for (const input of inputs)
      if (input.kind === 'folder' || input.kind === 'glob') await refuseWithin(input.path, options.exclude)
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
        yield { id, input: path, ...rest }
      }
    }
  }

  /** The folders and lists that the inputs are found in. */
  get roots(): readonly string[] {
    return this.inputs.flatMap((input) =>
      input.kind === 'stdin' ? [] : [resolve(this.options.folder ?? '', input.path)],
    )
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
    else if (input.kind === 'file') yield { path: input.path }
    else for (const path of input.paths) if (!path.startsWith(`${exclude}/`)) yield { path }
  }
}

async function inputOf(name: string, folder: string, stdin: NodeJS.ReadableStream | undefined): Promise<Input> {
  if (name === '-' && stdin) return { kind: 'stdin', stream: stdin }
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
  if (leadsOut(below)) return
  throw new GradCamError(
    'ERR_INVALID_ARGUMENT',
    `The folder of the results, '${results}', ${below === '' ? 'is' : 'contains'} the folder of the images, so results would be taken for images. ` +
      `Choose a folder of its own, e.g. '${basename(real)}-maps'.`,
  )
}
