import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { GradCamError } from '../../base/errors.js'
import { cacheFolder, listFolder } from '../cache.js'
import { compareVersions, describeLibTorch, missingFiles, type LibTorch } from '../../addon/describe.js'
import { askPython, type PythonFacts } from './python.js'

/** The PyTorch that is installed where the machine has none. */
export const pinnedVersion = '2.13.0'

/** The result of a search: the LibTorch, or where it was looked for and why nothing there is usable. */
export interface Search {
  readonly libtorch: LibTorch | null
  readonly tried: readonly string[]
  readonly python: PythonFacts | null
}

/** The record beside a private install: the requirement for pip and the Python (`major.minor`) that can import it. */
export interface InstallRecord {
  readonly requirement: string
  readonly python: string
}

export interface SearchOptions {
  readonly env?: NodeJS.ProcessEnv
  /** Pass over private installs that are not CUDA builds. */
  readonly cuda?: boolean
}

/**
 * Looks for a LibTorch: the one that LIBTORCH names, else the PyTorch that python3 imports, else an existing private
 * install. It installs nothing.
 *
 * Throws ERR_LIBTORCH_NOT_FOUND when LIBTORCH names something that is not usable: it is never ignored silently.
 */
export async function searchLibTorch({ env = process.env, cuda = false }: SearchOptions = {}): Promise<Search> {
  if (env['LIBTORCH']) return { libtorch: named(env['LIBTORCH']), tried: [], python: null }
  const tried = ['LIBTORCH is not set']
  const python = await askPython(env)
  if (!python) {
    tried.push('python3 is not on PATH, or does not run')
  } else if (!python.torch) {
    tried.push(`python3 (${python.executable}, ${python.version}) has no torch package`)
  } else {
    try {
      return { libtorch: describeLibTorch(python.torch, 'python3'), tried, python }
    } catch (error) {
      tried.push(`python3's torch package is not usable: ${(error as Error).message.replace(/\.$/, '')}`)
    }
  }
  const libtorch = findPrivate(cacheFolder(env), cuda)
  if (!libtorch) tried.push(`no private install of PyTorch ${pinnedVersion} in ${cacheFolder(env)}`)
  return { libtorch, tried, python }
}

/** The record of a private install; null where the folder holds none, and so is no install of ours. */
export function readInstallRecord(cache: string, name: string): InstallRecord | null {
  try {
    return JSON.parse(readFileSync(join(cache, name, 'install.json'), 'utf8')) as InstallRecord
  } catch {
    return null
  }
}

/** The private installs of the pinned version, CPU builds first: they start faster. */
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
    const remedy = inside
      ? `Set LIBTORCH=${join(folder, inside)}.`
      : 'Set LIBTORCH to an unpacked LibTorch (the folder that holds include/ and lib/) or to the folder of an installed ' +
        'torch package (…/site-packages/torch), or unset it to have one found.'
    throw new GradCamError('ERR_LIBTORCH_NOT_FOUND', `LIBTORCH is not usable: ${(error as Error).message}`, {
      remedy,
      details: { folder },
      cause: error,
    })
  }
}
