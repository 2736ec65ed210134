// Writes the API reference to out/api from the doc comments, and fails where an export has none:
//
//   node scripts/docs/write-api.mjs [--check]
//
// TypeDoc needs a TypeScript with a JavaScript API, which the project's own compiler does not have: both are installed from
// scripts/docs/api/package-lock.json when they are missing. --check writes nothing.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('api', import.meta.url))

/**
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  const { status } = spawnSync(command, args, { cwd: folder, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

const typedoc = join(folder, 'node_modules', 'typedoc', 'bin', 'typedoc')
if (!existsSync(typedoc)) run('npm', ['ci', '--no-audit', '--no-fund'])
const check = process.argv.includes('--check') ? ['--emit', 'none'] : []
run(process.execPath, [typedoc, '--options', 'typedoc.json', ...check])
