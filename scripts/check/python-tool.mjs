// Tools for C++ that pip carries as wheels, pinned here: whoever has the package's requirements has them, in one version
// everywhere. Kept in node_modules/.cache, where `npm ci` empties them.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'

export const root = dirname(dirname(import.meta.dirname))

const versions = { 'clang-format': '19.1.7', 'clang-tidy': '19.1.0.1' }
const cache = join(root, 'node_modules', '.cache', 'libtorch-gradcam-tools')
const python = process.platform === 'win32' ? 'python' : 'python3'

/**
 * The program of that name, which pip installs when it is first asked for.
 *
 * @param {keyof typeof versions} name
 */
export function pythonTool(name) {
  const folder = join(cache, `${name}-${versions[name]}`)
  // The wheel's own `bin` holds a Python program that starts this one.
  const binary = process.platform === 'win32' ? `${name}.exe` : name
  const program = join(folder, name.replace('-', '_'), 'data', 'bin', binary)
  if (existsSync(program)) return program
  mkdirSync(cache, { recursive: true })
  // Beside it first: an interrupted installation leaves nothing that could pass for a whole one.
  const partial = mkdtempSync(join(cache, '.partial-'))
  try {
    const quiet = ['--quiet', '--disable-pip-version-check', '--no-input', '--no-warn-script-location']
    const what = ['--no-deps', '--only-binary', ':all:', '--target', partial, `${name}==${versions[name]}`]
    const env = { ...process.env, PIP_ROOT_USER_ACTION: 'ignore' }
    const { status, error } = spawnSync(python, ['-m', 'pip', 'install', ...quiet, ...what], { env, stdio: 'inherit' })
    if (status !== 0)
      throw new Error(
        `${name} ${versions[name]} is required, and pip could not install it (${error ?? `exit code ${status}`}).`,
      )
    if (!existsSync(folder)) renameSync(partial, folder)
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
  return program
}
