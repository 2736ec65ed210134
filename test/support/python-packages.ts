import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { askPython, pythonCommand, withPythonPath } from '../../lib/setup/libtorch/python.js'
import type { TorchPython } from '../../lib/setup/libtorch/python-with-torch.js'
import { packageRoot } from '../../lib/base/paths.js'
import { cachedFolder } from './cached-folder.js'
import { PackagesUnavailable, pipInto } from './pip-into.js'

const requirements = join(packageRoot, 'test', 'python', 'requirements.txt')

export { PackagesUnavailable }

let found: Promise<TorchPython> | undefined

/**
 * A Python that can import the packages pinned in test/python/requirements.txt (and no torch, unless it has one), put
 * by pip into a folder of their own when first asked for.
 *
 * Throws PackagesUnavailable, with pip's last lines, where pip fails.
 */
export function pythonPackages(): Promise<TorchPython> {
  return (found ??= install())
}

async function install(): Promise<TorchPython> {
  const python = await askPython()
  if (!python) throw new PackagesUnavailable(`there is no ${pythonCommand} on PATH`)
  const key = [readFileSync(requirements, 'utf8'), python.version, python.executable]
  const folder = await cachedFolder('python-packages', key, async (partial) => {
    // Wheels alone: compiling numpy from source would take longer than all the tests.
    await pipInto(partial, ['--only-binary', ':all:', '--requirement', requirements])
  })
  return { command: pythonCommand, env: withPythonPath([folder]) }
}
