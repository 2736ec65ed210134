// Another commit of this package as a contestant, so that two states are measured in turns and not one day after another.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { named, ours } from './contestants.mjs'

/** @typedef {import('./types.d.mts').Say} Say */

const root = join(import.meta.dirname, '..', '..')

/**
 * The contestant of `reference`: a commit, or the folder of a checkout that is built. A commit is checked out and built
 * below out/against the first time; its packages are those of its own lockfile.
 *
 * @returns {import('./types.d.mts').Contestant}
 */
export function against(/** @type {string} */ reference, /** @type {Say} */ say) {
  const folder = isCheckout(reference) ? resolve(reference) : checkout(reference, say)
  const row = named('ours')
  return { ...row, name: 'against', label: `libtorch-gradcam of ${reference}`, start: ours, root: folder }
}

const isCheckout = (/** @type {string} */ path) => existsSync(join(path, 'dist', 'lib', 'index.js'))

function checkout(/** @type {string} */ reference, /** @type {Say} */ say) {
  const commit = run(root, 'git', ['rev-parse', '--verify', '--quiet', `${reference}^{commit}`]).trim()
  const folder = join(root, 'out', 'against', commit)
  if (isCheckout(folder)) return folder
  say(`${reference}: a checkout of it (built the first time)`)
  if (!existsSync(folder)) run(root, 'git', ['worktree', 'add', '--detach', folder, commit])
  run(folder, 'npm', ['ci'])
  run(folder, 'npm', ['run', 'build'])
  return folder
}

/**
 * What a command prints; an error with its last lines where it fails.
 *
 * @param {string} cwd
 * @param {string} command
 * @param {string[]} args
 */
function run(cwd, command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 26 })
  if (status === 0) return stdout
  const said = `${stdout}${stderr}`.trim().split('\n').slice(-8).join('\n')
  throw new Error(`--against: '${[command, ...args].join(' ')}' failed${said === '' ? '' : `:\n${said}`}`)
}
