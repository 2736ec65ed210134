import { readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { GradCamError } from '../../base/errors.js'
import { cacheFolder } from '../../base/cache-folder.js'
import { missingFiles } from '../../addon/describe.js'
import { hasNvidiaDriver } from './driver.js'
import { listPrivate, readInstallRecord, torchIn } from './find.js'
import { installPrivate, printLine, type InstallOptions } from './install.js'
import { askPython, pythonCommand, withPythonPath, type PythonFacts } from './python.js'

/** How to start a Python that can `import torch`. */
export interface TorchPython {
  readonly command: string
  readonly env: NodeJS.ProcessEnv
}

/**
 * A Python that can import torch, for reference programs: the torch package that LIBTORCH names where this Python can
 * import it, else python3's own, else a private install that it can import (which is made where there is none).
 */
export async function pythonWithTorch(options: InstallOptions = {}): Promise<TorchPython> {
  const python = await askPython()
  if (!python) throw new GradCamError('ERR_TOOL_MISSING', `${pythonCommand} was not found on PATH.`)
  return { command: pythonCommand, env: withPythonPath(await torchFolder(python, options)) }
}

/** Installs a PyTorch that Python can import, where there is none. */
export async function ensureImportable(options: InstallOptions = {}): Promise<void> {
  await pythonWithTorch(options)
}

async function torchFolder(python: PythonFacts, options: InstallOptions): Promise<string[]> {
  const named = process.env['LIBTORCH']
  if (named && missingFiles(named).length === 0 && isImportable(named, python)) return [dirname(named)]
  if (python.torch) return []
  const cache = cacheFolder()
  const short = shortVersion(python)
  const fitting = listPrivate(cache).find((name) => {
    const record = readInstallRecord(cache, name)
    return record?.python === short && record.importable !== false
  })
  if (fitting) return [dirname(torchIn(cache, fitting))]
  const driver = options.driver ?? (await hasNvidiaDriver())
  const install = { say: printLine, ...options, driver, importable: true }
  const libtorch = await installPrivate({ libtorch: null, tried: [], python }, install)
  if (!isImportable(libtorch.root, python)) {
    const text = `The PyTorch in ${dirname(libtorch.root)} was installed for another Python than ${python.version}`
    throw new GradCamError('ERR_LIBTORCH_INSTALL', `${text}.`, {
      remedy: 'Remove that folder to have it installed again.',
    })
  }
  return [dirname(libtorch.root)]
}

/** A torch package carries one extension module, compiled for one version of Python. */
function isImportable(torchPackage: string, python: PythonFacts): boolean {
  const tag = `cpython-${shortVersion(python).replace('.', '')}`
  return readdirSync(torchPackage).some(
    (name) => name.startsWith('_C.') && (name.includes(tag) || name.includes('abi3')),
  )
}

function shortVersion(python: PythonFacts): string {
  return python.version.split('.').slice(0, 2).join('.')
}
