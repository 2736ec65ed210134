import { delimiter } from 'node:path'
import { PackagesUnavailable } from './pip-into.js'
import { testPython } from './python.js'
import { pythonPackages } from './python-packages.js'

/**
 * The environment of a Python that imports torch, and numpy from the packages of test/python/requirements.txt; null, with a
 * line that says so, where pip gives none. In CI that is an error.
 */
export async function pythonPackagesOrNull(): Promise<NodeJS.ProcessEnv | null> {
  try {
    const packages = await pythonPackages()
    const { env } = await testPython()
    const paths = [packages.env['PYTHONPATH'], env['PYTHONPATH']].filter((path) => path)
    return { ...env, PYTHONPATH: paths.join(delimiter) }
  } catch (error) {
    if (!(error instanceof PackagesUnavailable) || process.env['CI']) throw error
    process.stderr.write(`Tests that derive in NumPy are skipped, since it is not to be had: ${error.message}\n`)
    return null
  }
}
