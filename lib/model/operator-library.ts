import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { libtorchRoot } from '../addon/build-info.js'
import { native } from '../addon/native.js'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { packageFolder } from '../setup/libtorch/python.js'

/** What a package for LibTorch calls the library that registers its operators. */
const fileNames = ['_C.so', '_C.dylib', '_C.pyd']

const isPackageName = (library: string): boolean => /^[A-Za-z_]\w*$/.test(library)

/**
 * The file of an operator library that was named: a path, or the name of a Python package, which is looked for beside the
 * torch package that the addon uses, then where python3 finds it.
 *
 * @throws GradCamError ERR_FILE_NOT_FOUND where there is no such package; ERR_MODEL_OPERATOR where it is for another PyTorch
 */
export async function findOperatorLibrary(library: string | URL): Promise<string> {
  const path = expect.path('libraries', library)
  // By its whole path: the loader of the system looks for a bare name in its own folders, and says that it is not there.
  if (existsSync(path)) return resolve(path)
  if (!isPackageName(path)) return path
  const beside = libraryBeside(path)
  if (beside) return checkVersion(beside)
  const folder = await packageFolder(path)
  const found = folder && libraryIn(folder)
  if (found) return checkVersion(found)
  const root = libtorchRoot()
  throw new GradCamError(
    'ERR_FILE_NOT_FOUND',
    `The Python package '${path}' with a library of operators (_C) was not found: it was looked for ` +
      `${root === null ? '' : `in ${dirname(root)} and `}where python3 finds packages.`,
    { remedy: 'Install it for the same PyTorch, or give the path of its library.', details: { library: path } },
  )
}

/** The library of a package that lies beside the torch package that the addon uses; null where there is none. */
export function libraryBeside(name: string): string | null {
  const root = libtorchRoot()
  return root === null || !isPackageName(name) ? null : libraryIn(join(dirname(root), name))
}

function libraryIn(folder: string): string | null {
  return fileNames.map((name) => join(folder, name)).find((file) => existsSync(file)) ?? null
}

/** A library for another version would be taken for damaged, or would crash. */
function checkVersion(file: string): string {
  const name = dirname(file)
  const required = requiredTorch(name)
  const own = native().info().torchVersion.split('+')[0] as string
  if (required === null || required === own) return file
  throw new GradCamError(
    'ERR_MODEL_OPERATOR',
    `${name} is for PyTorch ${required}, and the LibTorch in use is ${own}.`,
    {
      remedy: `Install it for PyTorch ${own}.`,
      details: { library: file, torch: required },
    },
  )
}

/** The version of torch that the metadata of a package pin; null where they pin none. */
function requiredTorch(folder: string): string | null {
  const site = dirname(folder)
  const start = `${folder.slice(site.length + 1)}-`
  for (const name of readdirSync(site)) {
    if (!name.startsWith(start) || !name.endsWith('.dist-info')) continue
    try {
      const text = readFileSync(join(site, name, 'METADATA'), 'utf8')
      return /^Requires-Dist: torch\s*\(?==\s*([\d.]+)/m.exec(text)?.[1] ?? null
    } catch {
      return null
    }
  }
  return null
}
