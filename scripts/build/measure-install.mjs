// Measures how long it takes until there is a heatmap, step by step, in empty folders and with an empty cache of this package:
//
//   node scripts/build/measure-install.mjs consumer --tarballs DIR [--libtorch FOLDER] [--cold] [--compiler]
//   node scripts/build/measure-install.mjs clone [--libtorch FOLDER] [--cold]
//
// `consumer` installs the packed packages (npm run release -- --dry-run --out DIR) in a project and runs `gradcam demo`, without a
// compiler on PATH unless --compiler is given. `clone` clones this repository, runs `npm ci` and `npm run demo`, and then the same in
// a second clone. With --libtorch there is that LibTorch on the machine; without it one is downloaded. --cold: npm and pip have
// nothing in their caches.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { formatTable, packageRoot, which } from '#internal'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tarballs: { type: 'string' },
    libtorch: { type: 'string' },
    cold: { type: 'boolean', default: false },
    compiler: { type: 'boolean', default: false },
  },
})
const [what] = positionals
if ((what !== 'consumer' && what !== 'clone') || (what === 'consumer' && !values.tarballs)) {
  console.error('measure-install: give consumer --tarballs DIR, or clone.')
  process.exit(2)
}

const folder = mkdtempSync(join(tmpdir(), 'gradcam-measure-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const own = /^(npm_|INIT_CWD$|NODE_ENV$|GRADCAM_|LIBTORCH$|PYTHONPATH$|VIRTUAL_ENV$|CONDA_PREFIX$)/
/** @type {NodeJS.ProcessEnv} */
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.test(name))),
  GRADCAM_CACHE: join(folder, 'cache'),
  ...(values.libtorch && { LIBTORCH: resolve(values.libtorch) }),
  ...(values.cold && { npm_config_cache: join(folder, 'npm'), PIP_CACHE_DIR: join(folder, 'pip') }),
}

/** @type {{ step: string, seconds: number }[]} */
const steps = []

/**
 * @param {string} step
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 * @param {NodeJS.ProcessEnv} more
 */
function time(step, command, args, cwd, more = {}) {
  console.log(`\n== ${step}`)
  const began = performance.now()
  const { status, error } = spawnSync(command, args, { cwd, env: { ...env, ...more }, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) throw new Error(`${step} failed with exit code ${status}`)
  steps.push({ step, seconds: (performance.now() - began) / 1000 })
}

/** A PATH with Node, npm, Python and what a shell needs, but no compiler and no CMake. */
function bareBin() {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  symlinkSync(process.execPath, join(bin, 'node'))
  for (const name of ['npm', 'npx', 'python3', 'sh', 'env', 'uname', 'nvidia-smi']) {
    const found = which(name)
    if (found) symlinkSync(name === 'python3' ? pythonItself(found) : realpathSync(found), join(bin, name))
  }
  return bin
}

/**
 * pyenv's programs look for others on PATH: the one that they start is taken.
 *
 * @param {string} found
 */
function pythonItself(found) {
  const { stdout } = spawnSync(found, ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' })
  return stdout.trim() || found
}

/** @param {string} path */
function megabytes(path) {
  if (!existsSync(path)) return 0
  const { stdout } = spawnSync('du', ['-sm', path], { encoding: 'utf8' })
  return Number(stdout.split('\t')[0])
}

if (what === 'consumer') {
  const tarballs = readdirSync(resolve(values.tarballs ?? ''))
    .filter((name) => name.endsWith('.tgz'))
    .map((name) => join(resolve(values.tarballs ?? ''), name))
  const project = join(folder, 'project')
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'project', private: true }))
  if (!values.compiler) env['PATH'] = [bareBin()].join(delimiter)
  time('npm install', 'npm', ['install', '--no-audit', '--no-fund', ...tarballs], project)
  time('gradcam setup', 'npx', ['gradcam', 'setup', '--yes'], project)
  time('gradcam demo', 'npx', ['gradcam', 'demo'], project)
  time('gradcam demo again', 'npx', ['gradcam', 'demo'], project)
} else {
  for (const name of ['first', 'second']) {
    const clone = join(folder, name)
    time(`${name} clone: git clone`, 'git', ['clone', '--quiet', '--local', packageRoot, clone], folder)
    time(`${name} clone: npm ci`, 'npm', ['ci', '--no-audit', '--no-fund'], clone)
    time(`${name} clone: npm run demo`, 'npm', ['run', 'demo'], clone)
  }
}

const model = cpus()[0]?.model ?? 'unknown'
const rows = [...steps, { step: 'in all', seconds: steps.reduce((sum, { seconds }) => sum + seconds, 0) }]
console.log(`\n${what}, Node ${process.versions.node}, ${cpus().length} x ${model}, LibTorch ${values.libtorch ? 'here' : 'downloaded'}\n`)
const right = (/** @type {string} */ text) => ({ text, alignRight: true })
console.log(formatTable(rows.map(({ step, seconds }) => [{ text: step }, right(`${seconds.toFixed(1)} s`)])).join('\n'))
console.log(`\nThe cache of this package holds ${megabytes(env['GRADCAM_CACHE'] ?? '')} MB.`)
