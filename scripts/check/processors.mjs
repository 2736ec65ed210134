// Runs the numeric tests as other processors would: npm run test:processors [-- --quick] [--record FILE] [--only TEXT ...]
//
// All of them take hours. With --record each combination is written to FILE (a line of JSON) as soon as it has ended, and
// the next run of the same sources goes on with those that are left; the table then shows all of them. --only takes the files whose
// path holds the text, in all combinations: for tests that were corrected.
//
// LibTorch picks its kernels by what the processor can do, and two variables make it believe that it can do less. Sums are
// then added in another order and round differently, which no tolerance of a test may depend on. The references in Python are
// those of this machine's own kernels (see test/support/python.ts), so that most combinations hold one processor to another's.
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { globSync } from 'tinyglobby'
import { formatTable } from '#internal'
import { hasKey } from '../support/access.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

const switches = {
  ONEDNN_MAX_CPU_ISA: ['default', 'AVX512_CORE', 'AVX2'],
  ATEN_CPU_CAPABILITY: ['avx512', 'avx2', 'default'],
  GRADCAM_TEST_THREADS: ['1', '2'],
}

const combinations = switches.ONEDNN_MAX_CPU_ISA.flatMap((onednn) =>
  switches.ATEN_CPU_CAPABILITY.flatMap((aten) =>
    switches.GRADCAM_TEST_THREADS.map((threads) => ({ onednn, aten, threads })),
  ),
)
/** Every value of every switch, for which `npm test` has shown what the machine's own give. */
const fewCombinations = [
  { onednn: 'AVX2', aten: 'default', threads: '2' },
  { onednn: 'AVX2', aten: 'avx2', threads: '1' },
  { onednn: 'AVX512_CORE', aten: 'avx512', threads: '2' },
  { onednn: 'default', aten: 'avx2', threads: '2' },
]

// A test is numeric that compares by one of these modules of test/support or states a tolerance such as 1e-5.
const comparing = ['arithmetic', 'densenet', 'parity', 'peer-maps', 'python', 'reference', 'small-net-cases']
const importsOf = (/** @type {string} */ name) => new RegExp(`from '[./\\w-]*/${name}\\.js'`)
const statesTolerance = /\d(\.\d+)?e-\d/
/** What these compare does not come from the processor's kernels: texts, times, another device, or the helpers themselves. */
const leftOut = ['bench', 'cuda', 'event-loop', 'examples', 'method-docs', 'test-support']
/**
 * Rooms whose tests hold what a command or a server says to what the library says on the same processor. They run with the few
 * combinations, which have every value of every switch.
 */
const callers = ['base', 'cli', 'examples', 'jobs', 'queue', 'report', 'server']
/** What a quick run is about: the comparisons with other programs. */
const peers = ['densenet', 'peer-maps', 'reference', 'small-net-cases']

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(`processors: ${message}`)
  process.exit(2)
}

/** Files of dist/test. A helper or file that was renamed makes this fail, not shrink. */
function numericTests(/** @type {boolean} */ quick) {
  const sources = globSync('test/**/*.test.ts', { cwd: root }).map((path) => ({
    path,
    name: path.replace(/^.*\//, '').replace('.test.ts', ''),
    text: readFileSync(join(root, path), 'utf8'),
  }))
  for (const helper of comparing)
    if (!sources.some(({ text }) => importsOf(helper).test(text))) fail(`no test imports ${helper}.js: was it renamed?`)
  for (const name of leftOut)
    if (!sources.some((source) => source.name === name))
      fail(`${name}.test.ts, which is left out, does not exist: was it renamed?`)
  const helpers = quick ? peers : comparing
  return sources
    .filter(({ name }) => !leftOut.includes(name))
    .filter(
      ({ text }) => helpers.some((helper) => importsOf(helper).test(text)) || (!quick && statesTolerance.test(text)),
    )
    .map(({ path }) => join('dist', path.replace(/\.ts$/, '.js')))
    .sort()
}

/** What the tests run: a recorded result is a result of this, whatever else was committed since. */
const tested = ['lib', 'native', 'test', 'scripts/models', 'CMakeLists.txt', 'package-lock.json', 'ava.config.js']

/** A text that changes when one of these does, with a mark if one was changed without a commit. */
function version() {
  const git = (/** @type {string[]} */ ...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()
  const trees = git('rev-parse', ...tested.map((path) => `HEAD:${path}`))
  const changed = git('status', '--porcelain', '--', ...tested) !== ''
  return `${createHash('sha256').update(trees).digest('hex').slice(0, 16)}${changed ? ' changed' : ''}`
}

/** @typedef {{ onednn: string, aten: string, threads: string, passed: number, failing: string[], seconds: number, code: number }} Result */

/**
 * What earlier runs of the same sources with the same tests wrote to the file.
 *
 * @param {string} path
 * @param {string} subject
 * @returns {Result[]}
 */
function recorded(path, subject) {
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
    .filter((entry) => entry.subject === subject)
    .map(({ result }) => result)
}

/**
 * What AVA says of them with these switches.
 *
 * @param {string[]} files
 * @param {{ onednn: string, aten: string, threads: string }} switches
 */
async function test(files, { onednn, aten, threads }) {
  const env = {
    ...process.env,
    FORCE_COLOR: '0',
    GRADCAM_TEST_THREADS: threads,
    ATEN_CPU_CAPABILITY: aten,
    ONEDNN_MAX_CPU_ISA: onednn,
    // More threads than processors: those that spin while they wait keep the others from running, which took 1.5 times as long.
    GOMP_SPINCOUNT: '0',
  }
  const begin = performance.now()
  const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
  const child = spawn(process.execPath, [ava, '--concurrency', String(availableParallelism()), ...files], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text) => (said += text))
  }
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const titles = (/** @type {string} */ mark) =>
    [...said.matchAll(new RegExp(`^ *${mark} (.*)$`, 'gm'))].map(([, title = '']) => title)
  const failing = [...new Set(titles('(?:✘|✖) (?:\\[fail\\]:)?').map((title) => title.trim()))]
  const passed = titles('✔').length
  const seconds = Math.round((performance.now() - begin) / 1000)
  return { onednn, aten, threads, passed, failing, seconds, code, said }
}

const isOf = (
  /** @type {readonly { onednn: string, aten: string, threads: string }[]} */ list,
  /** @type {Pick<Result, 'onednn' | 'aten' | 'threads'>} */ one,
) => list.some(({ onednn, aten, threads }) => onednn === one.onednn && aten === one.aten && threads === one.threads)

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    record: { type: 'string' },
    only: { type: 'string', multiple: true, default: [] },
  },
})
const { quick, record, only } = values
if (process.platform !== 'linux' || process.arch !== 'x64')
  fail('it is for Linux on x86-64, whose processors have these switches')

const numeric = numericTests(quick)
for (const text of only)
  if (!numeric.some((file) => file.includes(text))) fail(`no numeric test has '${text}' in its path`)
const files = numeric.filter((file) => only.length === 0 || only.some((text) => file.includes(text)))
// What oneDNN is allowed is an upper bound, but ATen takes its variable's word and would end with an illegal instruction.
const flags =
  readFileSync('/proc/cpuinfo', 'utf8')
    .match(/^flags\s*:(.*)$/m)?.[1]
    ?.split(' ') ?? []
const runnable = {
  default: true,
  avx2: flags.includes('avx2'),
  avx512: flags.includes('avx512f') && flags.includes('avx512vl'),
}
// The few first: what fails with a value of a switch mostly fails with one of them.
const inOrder = [...fewCombinations, ...combinations.filter((one) => !isOf(fewCombinations, one))]
const chosen = (quick ? fewCombinations : inOrder).filter(({ aten }) => hasKey(runnable, aten) && runnable[aten])
for (const [aten, can] of Object.entries(runnable))
  if (!can) console.error(`left out: ATen with ${aten}, which this processor has not`)
const ofLibrary = files.filter(
  (file) => only.length > 0 || !callers.some((room) => file.startsWith(join('dist', 'test', room, '/'))),
)
for (const room of callers)
  if (!existsSync(join(root, 'test', room))) fail(`test/${room} does not exist: was it renamed?`)
console.error(
  `${files.length} files, ${ofLibrary.length} of them of the library, ${chosen.length} combinations, ${availableParallelism()} processors`,
)
const subject = `${version()}, ${files.length} files${only.map((text) => `, ${text}`).join('')}`
const before = record === undefined ? [] : recorded(record, subject)
const results = []
for (const combination of chosen) {
  const earlier = before.find((result) => isOf([combination], result))
  if (earlier) {
    results.push(earlier)
    continue
  }
  const { said, ...result } = await test(isOf(fewCombinations, combination) ? files : ofLibrary, combination)
  results.push(result)
  if (record !== undefined) appendFileSync(record, `${JSON.stringify({ subject, result })}\n`)
  const { onednn, aten, threads, passed, failing, seconds, code } = result
  console.error(
    `ONEDNN_MAX_CPU_ISA=${onednn} ATEN_CPU_CAPABILITY=${aten}, ${threads} threads: ${passed} passed, ${failing.length} failed, ${seconds} s`,
  )
  if (code !== 0)
    console.error(
      said
        .split('\n')
        .filter((line) => !/^ *✔/.test(line))
        .join('\n'),
    )
}

const number = (/** @type {number | string} */ value) => ({ text: String(value), alignRight: true })
const header = ['oneDNN', 'ATen', 'threads', 'passed', 'failed', 'seconds', 'failing'].map((text) => ({ text }))
const rows = results.map(({ onednn, aten, threads, passed, failing, seconds }) => [
  ...[onednn, aten].map((text) => ({ text })),
  ...[threads, passed, failing.length, seconds].map(number),
  { text: failing.join('; ') },
])
console.log(formatTable([header, ...rows]).join('\n'))
// A run in which nothing passed says nothing, and AVA also fails for files that do not load.
if (results.some(({ code, passed }) => code !== 0 || passed === 0)) process.exit(1)
