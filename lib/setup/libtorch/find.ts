import { readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { GradCamError } from '../../base/errors.js'
import { cacheFolder } from '../../base/cache-folder.js'
import { listFolder } from '../cache.js'
import { compareVersions, describeLibTorch, missingFiles, type LibTorch } from '../../addon/describe.js'
import { activePlaces, otherPlaces, projectPlaces, type Place } from './places.js'
import { askPython, type PythonFacts } from './python.js'

/** The PyTorch that is installed where the machine has none. */
export const pinnedVersion = '2.13.0'

/** The result of a search: the LibTorch, or where it was looked for and why nothing there is usable. */
export interface Search {
  readonly libtorch: LibTorch | null
  readonly tried: readonly string[]
  readonly python: PythonFacts | null
}

/** One place that was looked at: the LibTorch there, or why there is none that can be used. */
export interface Look {
  readonly libtorch: LibTorch | null
  /** What was found, or why nothing, in words: the part of a sentence. */
  readonly said: string
  /** Where python3 was asked: what it answered. */
  readonly python?: PythonFacts | null
}

/** The record beside a private install: the requirement for pip and the Python (`major.minor`) that can import it. */
export interface InstallRecord {
  readonly requirement: string
  readonly python: string
  /** False where it has only what a CPU needs, so that no Python can import it. */
  readonly importable?: boolean
}

export interface SearchOptions {
  readonly env?: NodeJS.ProcessEnv
  /** Pass over what nobody chose (private installs, other Pythons, the system's) where it is not a CUDA build. */
  readonly cuda?: boolean
}

/**
 * Looks for a LibTorch: the one that LIBTORCH names, else the PyTorch of the active Python environment, of python3, of an environment
 * in the project's folder, an existing private install, or what else lies on the machine. It installs nothing.
 *
 * Throws ERR_LIBTORCH_NOT_FOUND when LIBTORCH names something that is not usable: it is never ignored silently.
 */
export async function searchLibTorch(options: SearchOptions = {}): Promise<Search> {
  const tried: string[] = []
  let python: PythonFacts | null = null
  for await (const look of lookForLibTorch(options)) {
    python = look.python ?? python
    if (look.libtorch) return { libtorch: look.libtorch, tried, python }
    tried.push(look.said)
  }
  return { libtorch: null, tried, python }
}

/** Looks at one place after another, in the order of the search. Where LIBTORCH is set it looks nowhere else. */
export async function* lookForLibTorch({ env = process.env, cuda = false }: SearchOptions = {}): AsyncGenerator<
  Look,
  void
> {
  if (env['LIBTORCH']) {
    yield found(named(env['LIBTORCH']), 'named by LIBTORCH')
    return
  }
  yield { libtorch: null, said: 'LIBTORCH is not set' }
  for (const place of activePlaces(env)) yield lookAt(place)
  yield await lookAtPython(env)
  for (const place of projectPlaces()) yield lookAt(place)
  yield lookAtPrivate(cacheFolder(env), cuda)
  for (const place of otherPlaces(env)) {
    if (missingFiles(place.root).length > 0) continue
    const look = lookAt(place)
    if (look.libtorch?.cuda || !cuda) yield look
  }
}

const found = (libtorch: LibTorch, of: string): Look => ({ libtorch, said: of })

function lookAt({ root, source, owner }: Place): Look {
  try {
    return found(describeLibTorch(root, source), `of ${owner}`)
  } catch (error) {
    return { libtorch: null, said: `the PyTorch of ${owner} is not usable: ${withoutStop(error)}` }
  }
}

async function lookAtPython(env: NodeJS.ProcessEnv): Promise<Look> {
  const python = await askPython(env)
  if (!python) return { libtorch: null, said: 'python3 is not on PATH, or does not run', python }
  const called = `python3 (${python.executable}, ${python.version})`
  if (!python.torch) return { libtorch: null, said: `${called} has no torch package`, python }
  try {
    return { ...found(describeLibTorch(python.torch, 'python3'), `of ${called}`), python }
  } catch (error) {
    return { libtorch: null, said: `python3's torch package is not usable: ${withoutStop(error)}`, python }
  }
}

function lookAtPrivate(cache: string, cuda: boolean): Look {
  const libtorch = findPrivate(cache, cuda)
  if (libtorch) return found(libtorch, "this package's own install")
  const build = cuda ? ' with CUDA' : ''
  return { libtorch: null, said: `no private install of PyTorch ${pinnedVersion}${build} in ${cache}` }
}

const withoutStop = (error: unknown): string => (error as Error).message.replace(/\.$/, '')

/** The record of a private install; null where the folder holds none: we did not install it. */
export function readInstallRecord(cache: string, name: string): InstallRecord | null {
  try {
    return JSON.parse(readFileSync(join(cache, name, 'install.json'), 'utf8')) as InstallRecord
  } catch {
    return null
  }
}

/** The private installs of the pinned version, CPU builds first. */
export function listPrivate(cache: string): string[] {
  return listFolder(cache)
    .filter((name) => name.startsWith(`pytorch-${pinnedVersion}-`))
    .sort()
    .filter((name) => readInstallRecord(cache, name) !== null)
}

/** Where the torch package lies in a private install. */
export const torchIn = (cache: string, name: string): string => join(cache, name, 'site', 'torch')

function findPrivate(cache: string, cuda: boolean): LibTorch | null {
  for (const name of listPrivate(cache)) {
    const root = torchIn(cache, name)
    if (missingFiles(root).length > 0) continue
    const libtorch = describeLibTorch(root, 'private install')
    if (compareVersions(libtorch.version, pinnedVersion) === 0 && (libtorch.cuda || !cuda)) return libtorch
  }
  return null
}

function named(folder: string): LibTorch {
  try {
    return describeLibTorch(folder, 'LIBTORCH')
  } catch (error) {
    const inside = ['torch', 'libtorch'].find((name) => missingFiles(join(folder, name)).length === 0)
    const above = basename(folder) === 'lib' && missingFiles(dirname(folder)).length === 0
    const right = inside ? join(folder, inside) : above ? dirname(folder) : null
    const remedy = right
      ? `Set LIBTORCH=${right}.`
      : /\.(zip|whl|tar\.gz)$/.test(folder)
        ? 'Unpack that file, and set LIBTORCH to the folder that then holds include/ and lib/.'
        : 'Set LIBTORCH to an unpacked LibTorch (the folder that holds include/ and lib/) or to the folder of an installed ' +
          'torch package (…/site-packages/torch), or unset it to have one found.'
    const isFolder = statSync(folder, { throwIfNoEntry: false })?.isDirectory()
    const why = isFolder
      ? (error as Error).message
      : `${folder} ${isFolder === false ? 'is a file.' : 'does not exist.'}`
    throw new GradCamError('ERR_LIBTORCH_NOT_FOUND', `LIBTORCH is not usable: ${why}`, {
      remedy,
      details: { folder },
      cause: error,
    })
  }
}
