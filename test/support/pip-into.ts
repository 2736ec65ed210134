import { pythonCommand } from '../../lib/setup/libtorch/python.js'
import { lastLines, run } from '../../lib/base/processes.js'

/** The message of the error that tells a test to be skipped, outside CI, because pip gives no packages. */
export class PackagesUnavailable extends Error {}

/**
 * Has pip put packages into a folder.
 *
 * Throws PackagesUnavailable, with pip's last lines, where it fails.
 */
export async function pipInto(folder: string, args: readonly string[]): Promise<void> {
  const options = ['--disable-pip-version-check', '--no-input', '--no-warn-script-location', '--no-warn-conflicts']
  const result = await run(pythonCommand, ['-m', 'pip', 'install', '--quiet', ...options, '--target', folder, ...args])
  if (result.code !== 0) throw new PackagesUnavailable(`pip could not install them:\n${lastLines(result.stderr, 8)}`)
}
