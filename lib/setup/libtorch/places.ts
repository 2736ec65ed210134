import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, delimiter, dirname, join, parse } from 'node:path'
import { listFolder } from '../cache.js'
import type { LibTorchSource } from '../../addon/describe.js'

/** A folder that may be a LibTorch, and what it belongs to, in words. */
export interface Place {
  readonly root: string
  readonly source: LibTorchSource
  readonly owner: string
}

/** The torch packages of the Python environment that is active: virtualenv's and uv's name themselves, and conda's do. */
export function activePlaces(env: NodeJS.ProcessEnv): Place[] {
  return unique(
    ['VIRTUAL_ENV', 'CONDA_PREFIX', 'UV_PROJECT_ENVIRONMENT'].flatMap((name) => {
      const folder = env[name]
      return folder ? torchPackages(folder, 'environment', `${folder}, which ${name} names`) : []
    }),
  )
}

/** Those of the environments that lie in the working folder and the folders above it, where uv, Poetry and people put them. */
export function projectPlaces(from: string = process.cwd()): Place[] {
  const folders: string[] = []
  for (let folder = from; folder !== parse(folder).root; folder = dirname(folder)) folders.push(folder)
  return unique(
    folders
      .flatMap((folder) => ['.venv', 'venv'].map((name) => join(folder, name)))
      .filter((folder) => existsSync(join(folder, 'pyvenv.cfg')))
      .flatMap((folder) => torchPackages(folder, 'environment', `the environment ${folder}`)),
  )
}

/** Those of all other Pythons that usually lie on a machine, and what the system's package manager or a person unpacked. */
export function otherPlaces(env: NodeJS.ProcessEnv): Place[] {
  const home = env['HOME'] ?? homedir()
  const inHome = (...names: string[]): string[] => names.map((name) => join(home, name))
  const pythons = (env['PATH'] ?? '').split(delimiter).flatMap((folder) => {
    const named = listFolder(folder).filter((name) => /^python3(\.\d+)?(\.exe)?$/.test(name))
    return named.map((name) => prefixOf(join(folder, name))).filter((prefix) => prefix !== null)
  })
  const pyenv = join(env['PYENV_ROOT'] ?? join(home, '.pyenv'), 'versions')
  const conda = [...inHome('miniconda3', 'anaconda3', 'miniforge3', 'mambaforge'), '/opt/conda']
  const within = (folder: string): string[] => listFolder(folder).map((name) => join(folder, name))
  const prefixes = [
    ...pythons,
    ...inHome('.local'),
    ...within(pyenv),
    ...condaEnvironments(home),
    ...conda.flatMap((folder) => [folder, ...within(join(folder, 'envs'))]),
  ]
  const archives = [...inHome('libtorch'), '/opt/libtorch', '/usr/local/libtorch']
  return unique([
    ...prefixes.flatMap((prefix) => torchPackages(prefix, 'another Python', `the Python in ${prefix}`)),
    ...['/usr/local', '/usr'].map((root) => ({ root, source: 'system' as const, owner: `the system's ${root}` })),
    ...archives.map((root) => ({ root, source: 'system' as const, owner: `the unpacked ${root}` })),
  ])
}

/** The torch packages below a prefix of Python, the newest Python first. */
function torchPackages(prefix: string, source: LibTorchSource, owner: string): Place[] {
  const libraries = listFolder(join(prefix, 'lib'))
    .filter((name) => /^python3(\.\d+)?$/.test(name))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
  const folders = [...libraries.map((name) => join(prefix, 'lib', name)), join(prefix, 'Lib')]
  return folders
    .flatMap((folder) => ['site-packages', 'dist-packages'].map((name) => join(folder, name, 'torch')))
    .filter((root) => existsSync(root))
    .map((root) => ({ root, source, owner }))
}

/** The prefix of a Python on PATH; null for a program that only passes on to one, such as pyenv's. */
function prefixOf(python: string): string | null {
  try {
    const real = realpathSync(python)
    return basename(dirname(real)) === 'shims' ? null : dirname(dirname(real))
  } catch {
    return null
  }
}

/** conda lists the environments of a user in a file. */
function condaEnvironments(home: string): string[] {
  try {
    const text = readFileSync(join(home, '.conda', 'environments.txt'), 'utf8')
    return text.split(/\r?\n/).filter((line) => line !== '')
  } catch {
    return []
  }
}

function unique(places: readonly Place[]): Place[] {
  const known = new Set<string>()
  return places.filter(({ root }) => !known.has(root) && known.add(root))
}
