import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { glob, isDynamicPattern } from 'tinyglobby'
import { GradCamError } from '../../errors.js'
import { commonFolder, entryId, type Entry } from './entry.js'
import { isListName, readList } from './list.js'
import { walk } from './walk.js'

/** What one SOURCE of the command line turned out to be. */
type Source =
  | { readonly kind: 'list'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'glob'; readonly paths: readonly string[] }

/** An input, with what it is called in the job. */
export interface NamedEntry extends Entry {
  readonly id: string
}

/** Where a job's inputs come from. */
export class Sources {
  private constructor(
    private readonly sources: readonly Source[],
    /** What the inputs' names are relative to. */
    readonly base: string,
    private readonly labels: readonly string[] | null,
    private readonly out: string,
  ) {}

  /** Finds out what each SOURCE is. A path that does not exist and is no pattern is an input that fails. */
  static async read(given: readonly string[], labels: readonly string[] | null, out: string): Promise<Sources> {
    const sources = await Promise.all(given.map(sourceOf))
    const folders = sources.flatMap((source) => {
      if (source.kind === 'glob') return source.paths.map((path) => dirname(path))
      if (source.kind === 'list') return [process.cwd()]
      return [source.kind === 'folder' ? source.path : dirname(source.path)]
    })
    return new Sources(sources, commonFolder(folders), labels, resolve(out))
  }

  /** Whether the inputs can be listed a second time, to count them. */
  get repeatable(): boolean {
    return !this.sources.some((source) => source.kind === 'list' && source.path === '-')
  }

  /** All inputs, each once. */
  async *entries(): AsyncGenerator<NamedEntry, undefined> {
    const seen = new Set<string>()
    for (const source of this.sources) {
      for await (const entry of this.#of(source)) {
        const id = entryId(entry, this.base)
        if (seen.has(id)) continue
        seen.add(id)
        yield { ...entry, id }
      }
    }
  }

  async count(): Promise<number> {
    let count = 0
    for await (const _ of this.entries()) count++
    return count
  }

  async *#of(source: Source): AsyncGenerator<Entry, undefined> {
    if (source.kind === 'list') yield* readList(source.path, this.labels)
    else if (source.kind === 'folder') yield* walk(source.path, this.out)
    else if (source.kind === 'file') yield { path: source.path }
    else for (const path of source.paths) if (!path.startsWith(`${this.out}/`)) yield { path }
  }
}

async function sourceOf(given: string): Promise<Source> {
  if (given === '-') return { kind: 'list', path: '-' }
  const path = resolve(given)
  const found = await stat(path).catch(() => null)
  if (found?.isDirectory()) return { kind: 'folder', path }
  if (found) return isListName(path) ? { kind: 'list', path: given } : { kind: 'file', path }
  if (!isDynamicPattern(given)) {
    if (!isListName(path)) return { kind: 'file', path }
    throw new GradCamError('ERR_FILE_NOT_FOUND', `The list '${given}' does not exist.`)
  }
  const paths = await glob(given, { absolute: true, expandDirectories: false, onlyFiles: true })
  if (paths.length === 0) throw new GradCamError('ERR_FILE_NOT_FOUND', `Nothing matches '${given}'.`)
  return { kind: 'glob', paths: paths.map((one) => resolve(one)).sort() }
}
