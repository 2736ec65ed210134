import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { askPython, pythonCommand, withPythonPath } from '../../lib/libtorch/python.js'
import type { TorchPython } from '../../lib/libtorch/python-with-torch.js'
import { packageRoot } from '../../lib/paths.js'
import { lastLines, run } from '../../lib/processes.js'
import { cachedFolder } from './cached-folder.js'

const requirements = join(packageRoot, 'test', 'python', 'requirements.txt')

/** The message of the error that tells a test to be skipped, outside CI, because pip gives no packages. */
export class PackagesUnavailable extends Error {}

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
    const options = ['--disable-pip-version-check', '--no-input', '--no-warn-script-location', '--no-warn-conflicts']
    // Wheels alone: compiling numpy from source would take longer than all the tests.
    const wheels = ['--quiet', '--only-binary', ':all:', '--target', partial]
    const result = await run(pythonCommand, [
      '-m',
      'pip',
      'install',
      ...options,
      ...wheels,
      '--requirement',
      requirements,
    ])
    if (result.code !== 0) throw new PackagesUnavailable(`pip could not install them:\n${lastLines(result.stderr, 8)}`)
  })
  return { command: pythonCommand, env: withPythonPath([folder]) }
}
