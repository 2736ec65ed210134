import { delimiter } from 'node:path'
import { orMissing } from './needs.js'
import { testPython } from './python.js'
import { pythonPackages } from './python-packages.js'

/**
 * The environment of a Python that imports torch, and numpy from the packages of test/python/requirements.txt; null where
 * pip gives none. In CI that is an error.
 */
export async function pythonPackagesOrNull(): Promise<NodeJS.ProcessEnv | null> {
  const packages = await orMissing('packages', pythonPackages)
  if (!packages) return null
  const { env } = await testPython()
  const paths = [packages.env['PYTHONPATH'], env['PYTHONPATH']].filter((path) => path)
  return { ...env, PYTHONPATH: paths.join(delimiter) }
}
