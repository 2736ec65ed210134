// Runs tests with an addon that checks itself: npm run sanitize -- address|thread|coverage [dist/test/ROOM/FILE.test.js ...]
//
// address: AddressSanitizer and UndefinedBehaviorSanitizer over all tests that require no Python and no browser. thread:
// ThreadSanitizer over the tests of threads, workers and lifetimes. coverage: the tests of address, and then which lines of the
// C++ have run, by gcov. The addon is built in build/sanitize/NAME, where a copy of
// the compiled package lies; that of the checkout stays as it is. Node and LibTorch are not built with a sanitizer: what is
// found is in the addon, or is memory that the addon handed to them.
import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { globSync } from 'tinyglobby'
import { packageRoot } from '#internal'
import { hasKey } from '../support/access.mjs'
import { avaRuns } from '../support/ava-runs.mjs'
import { coverageReport, lineCoverage } from './line-coverage.mjs'

const withoutPython = withoutHelpers(['python', 'pip-into', 'browser', 'compile-native', 'fake-libtorch'])

const modes = {
  address: {
    sanitize: 'address,undefined',
    preload: ['libasan.so', 'libstdc++.so'],
    env: {
      // Node and LibTorch keep what they allocate to their end; leaks have tests of their own.
      ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1:strict_string_checks=1:detect_stack_use_after_return=1',
      UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
    },
    tests: withoutPython,
  },
  thread: {
    sanitize: 'thread',
    preload: ['libtsan.so', 'libstdc++.so'],
    env: {
      // What Node and LibTorch lock without being built so is not seen: only accesses of the addon are compared.
      TSAN_OPTIONS: `ignore_noninstrumented_modules=1:halt_on_error=1:suppressions=${join(packageRoot, 'scripts', 'check', 'thread-sanitizer.txt')}`,
    },
    tests: () =>
      [
        'addon/threads',
        'addon/event-loop',
        'addon/endings',
        'native/lifetimes',
        'model/hooks',
        'batch/explain-all',
      ].map((name) => `dist/test/${name}.test.js`),
  },
  coverage: { sanitize: 'coverage', preload: [], env: {}, tests: withoutPython },
}

/** @returns {never} */
function fail(/** @type {string} */ message) {
  console.error(`sanitize: ${message}`)
  process.exit(2)
}

/** All tests that use none of these modules of test/support, not even by others. */
function withoutHelpers(/** @type {string[]} */ helpers) {
  return () => {
    const files = globSync('test/**/*.ts', { cwd: packageRoot })
    const importsOf = new Map(
      files.map((file) => {
        const text = readFileSync(join(packageRoot, file), 'utf8')
        const named = [...text.matchAll(/from '(\.{1,2}\/[^']+)\.js'/g)].map(([, name]) =>
          posix.join(dirname(file), `${name}.ts`),
        )
        return [file, named]
      }),
    )
    for (const helper of helpers)
      if (!importsOf.has(`test/support/${helper}.ts`)) fail(`test/support/${helper}.ts does not exist: was it renamed?`)
    const using = new Set(helpers.map((helper) => `test/support/${helper}.ts`))
    for (let before = 0; before !== using.size;) {
      before = using.size
      for (const [file, named] of importsOf) if (named.some((one) => using.has(one))) using.add(file)
    }
    // A build in a test would be one without a sanitizer.
    const tests = files.filter(
      (file) => file.endsWith('.test.ts') && !using.has(file) && !/\/(?:setup|scripts|docs)\//.test(file),
    )
    return tests.sort().map((file) => `dist/${file.replace(/\.ts$/, '.js')}`)
  }
}

/** A copy of the compiled package, which builds for itself. */
function copyPackage(/** @type {string} */ root) {
  mkdirSync(root, { recursive: true })
  cpSync(join(packageRoot, 'dist'), join(root, 'dist'), { recursive: true })
  for (const file of ['package.json', 'CMakeLists.txt', 'ava.config.js'])
    copyFileSync(join(packageRoot, file), join(root, file))
  for (const folder of ['lib', 'native', 'node_modules', 'samples', 'assets', 'test', 'scripts', 'examples', 'docs'])
    if (!existsSync(join(root, folder))) symlinkSync(join(packageRoot, folder), join(root, folder))
}

function run(/** @type {string[]} */ args, /** @type {string} */ cwd, env = {}) {
  const { status, signal } = spawnSync(process.execPath, args, {
    cwd,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  return signal ?? status
}

/** The path of a library of the compiler, which the addon's own runtime has to come before all others. */
function library(/** @type {string} */ name) {
  const { stdout } = spawnSync(process.env['CXX'] ?? 'g++', [`-print-file-name=${name}`], { encoding: 'utf8' })
  const path = stdout?.trim() ?? ''
  return existsSync(path) ? path : fail(`the compiler has no ${name}`)
}

const [name = '', ...files] = process.argv.slice(2)
if (!hasKey(modes, name)) fail(`name one of ${Object.keys(modes).join(', ')}`)
const mode = modes[name]
if (process.platform !== 'linux') fail('it preloads libraries, as Linux does')
const root = join(packageRoot, 'build', 'sanitize', name)
copyPackage(root)
const built = run(['dist/lib/cli/main.js', 'build', '--sanitize', mode.sanitize, '--with', 'cmake-js'], root)
if (built !== 0) fail(`the addon cannot be built (${built})`)
const preload = mode.preload.map(library).join(':')
const env = { ...mode.env, ...(preload && { LD_PRELOAD: preload }), OMP_NUM_THREADS: '2' }
const tests = files.length > 0 ? files : mode.tests()
console.log(`${tests.length} files of tests with ${mode.sanitize}`)
const ava = join(packageRoot, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
const failed = avaRuns(tests).filter((args) => run([ava, '--timeout=10m', ...args], root, env) !== 0)
if (name === 'coverage')
  for (const line of coverageReport(lineCoverage(join(root, 'build', 'cmake-js')))) console.log(line)
process.exitCode = failed.length === 0 ? 0 : 1
