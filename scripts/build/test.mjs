// `npm test`: AVA, with its arguments, and at the end what was skipped and why: nothing is skipped in silence. In CI, what it
// could have had must be there: a test that was skipped for lack of it is a failure. See test/support/needs.ts.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { globSync } from 'tinyglobby'
import { objectSources, packageRoot, readBuildInfo } from '#internal'
import { avaRuns } from '../support/ava-runs.mjs'
import { summary } from './skips.mjs'

// The C++ tests link the addon's object files, which are not there where the addon came from the cache.
const info = readBuildInfo()
if (info && info.builder !== 'prebuilt' && objectSources(info.builder) !== info.sources) {
  const main = join(packageRoot, 'dist', 'lib', 'cli', 'main.js')
  const built = spawnSync(process.execPath, [main, 'build', '--fresh', '--with', info.builder], { stdio: 'inherit' })
  if (built.status !== 0) process.exit(built.status ?? 1)
}

const ava = join(dirname(createRequire(import.meta.url).resolve('ava')), 'cli.mjs')
const folder = mkdtempSync(join(tmpdir(), 'gradcam-skips-'))
const file = join(folder, 'skips.jsonl')
const run = (/** @type {readonly string[]} */ args) =>
  spawnSync(process.execPath, [ava, ...args], { stdio: 'inherit', env: { ...process.env, GRADCAM_SKIPS: file } })
const given = process.argv.slice(2)
const runs = given.length > 0 ? [given] : avaRuns(globSync('dist/test/**/*.test.js', { cwd: packageRoot }).sort())
const status = runs.map((args) => run(args).status ?? 1).find((code) => code !== 0) ?? 0
const record = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
rmSync(folder, { recursive: true, force: true })

const { lines, failed } = summary(
  record.map((line) => JSON.parse(line)),
  Boolean(process.env['CI']),
)
for (const line of lines) console.log(line)
process.exit(status === 0 && failed ? 1 : status)
