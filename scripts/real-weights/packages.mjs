// A Python program that needs packages which pip installs for it, into a folder that is removed again.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { packageRoot, pythonWithTorch } from '#internal'

/** What a command printed; throws where it fails. */
export function run(
  /** @type {string} */ command,
  /** @type {string[]} */ args,
  /** @type {NodeJS.ProcessEnv} */ env = process.env,
) {
  const { status, stdout } = spawnSync(command, args, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8', env })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stdout}`)
  return stdout
}

const main = join(packageRoot, 'dist', 'lib', 'cli', 'main.js')

/** What the command line tool printed. */
export const gradcam = (/** @type {string[]} */ ...args) => run(process.execPath, [main, ...args])

/**
 * Runs a program of this folder, in the Python whose torch this package uses.
 *
 * @param {readonly string[]} packages
 * @param {string} program
 * @param {string[]} args
 */
export async function runWithPackages(packages, program, args) {
  const python = await pythonWithTorch()
  const site = mkdtempSync(join(tmpdir(), 'real-weights-'))
  try {
    const install = ['-m', 'pip', 'install', '--quiet', '--no-input', '--no-deps', '--target', site, ...packages]
    run(python.command, install)
    const path = [site, python.env['PYTHONPATH']].filter(Boolean).join(delimiter)
    const env = { ...python.env, PYTHONPATH: path }
    process.stdout.write(run(python.command, ['-W', 'ignore', join(import.meta.dirname, program), ...args], env))
  } finally {
    rmSync(site, { recursive: true })
  }
}
