// Measures how long it takes until there is a heatmap, step by step, in empty folders and with an empty cache of this package:
//
//   node scripts/build/measure-install.mjs consumer --tarballs DIR [--libtorch FOLDER] [--cold] [--compiler] [--setup]
//   node scripts/build/measure-install.mjs clone [--libtorch FOLDER] [--cold]
//
// `consumer` installs the packed packages (npm run release -- --dry-run --out DIR) in a project and runs `gradcam demo`, without a
// compiler on PATH unless --compiler is given; with --setup it runs `gradcam setup` before. `clone` clones this repository, runs `npm ci` and `npm run demo`, and then the same in
// a second clone. With --libtorch there is that LibTorch on the machine; without it one is downloaded. --cold: npm and pip have
// nothing in their caches. Beside the time it says how much of it the processors were at work: that is the same on a busy machine.
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
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
    setup: { type: 'boolean', default: false },
  },
})
const [what] = positionals
if ((what !== 'consumer' && what !== 'clone') || (what === 'consumer' && !values.tarballs)) {
  console.error('measure-install: give consumer --tarballs DIR, or clone.')
  process.exit(2)
}

const folder = mkdtempSync(join(tmpdir(), 'gradcam-measure-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const own = /^(npm_|INIT_CWD$|NODE_ENV$|GRADCAM_|LIBTORCH$|PYTHONPATH$|VIRTUAL_ENV$|CONDA_PREFIX$|CMAKE_|CCACHE_)/
/** @type {NodeJS.ProcessEnv} */
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.test(name))),
  GRADCAM_CACHE: join(folder, 'cache'),
  ...(values.libtorch && { LIBTORCH: resolve(values.libtorch) }),
  ...(values.cold && { npm_config_cache: join(folder, 'npm'), PIP_CACHE_DIR: join(folder, 'pip') }),
}

/** @type {{ step: string, seconds: number, work: number, load: number }[]} */
const steps = []

/** Seconds of processor time of the commands that have ended, and of all that they started; NaN where the system does not say. */
function processorTime() {
  if (process.platform !== 'linux') return NaN
  const fields = readFileSync('/proc/self/stat', 'utf8').replace(/^.*\) /, '').split(' ')
  // Of the children, in user and in system mode, in hundredths (the kernel's own unit for programs, whatever it counts in).
  return (Number(fields[13]) + Number(fields[14])) / 100
}

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
  const before = processorTime()
  const { status, error } = spawnSync(command, args, { cwd, env: { ...env, ...more }, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) throw new Error(`${step} failed with exit code ${status}`)
  const [load = 0] = loadavg()
  steps.push({ step, seconds: (performance.now() - began) / 1000, work: processorTime() - before, load })
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
  if (values.setup) time('gradcam setup', 'npx', ['gradcam', 'setup', '--yes'], project)
  time('gradcam demo', 'npx', ['gradcam', 'demo', '--yes'], project)
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
console.log(`\n${what}, Node ${process.versions.node}, ${cpus().length} x ${model}, LibTorch ${values.libtorch ? 'here' : 'downloaded'}\n`)
const right = (/** @type {string} */ text) => ({ text, alignRight: true })
const rows = steps.map(({ step, seconds, work, load }) => [
  { text: step },
  right(`${seconds.toFixed(1)} s`),
  right(`${work.toFixed(1)} s of processors`),
  right(`load ${load.toFixed(1)}`),
])
console.log(formatTable(rows).join('\n'))
console.log(`\nThe cache of this package holds ${megabytes(env['GRADCAM_CACHE'] ?? '')} MB.`)
