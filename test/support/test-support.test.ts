import test from 'ava'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { globSync } from 'tinyglobby'
import { packageRoot } from '../../lib/base/paths.js'
import { cachedFolder } from './cached-folder.js'
import { farthest } from './arithmetic.js'
import { verdictOf, type Judged } from './judged.js'
import { norm, relativeError } from './parity.js'

test('relativeError is the norm of the difference over the norm', (t) => {
  t.is(relativeError([3, 4], [3, 4]), 0)
  t.is(relativeError([3, 9], [3, 4]), 1)
  t.is(relativeError(new Float32Array([0, 0]), new Float64Array([6, 8])), 1)
  t.is(norm([3n, 4n]), 5)
})

const judged = (data: number[], exact: number[], otherSide: number[]): Judged => {
  const values = (numbers: number[]) => ({ shape: [numbers.length], data: Float64Array.from(numbers) })
  return { ...values(data), judge: { exact: values(exact), otherSide: values(otherSide) } }
}
const judge = (actual: number[], expected: Judged, tolerance = 1e-5) =>
  verdictOf(actual, expected, tolerance, farthest, () => 2)

test('a result is measured from the one in float64, and may be off by four times what the peer is, and by gates', (t) => {
  const near = (found: number, expected: number) => t.true(Math.abs(found - expected) < 1e-12, `${found} ${expected}`)
  const peer = judge([1.002, 3], judged([1.001, 3], [1, 3], [1, 3.004]))
  near(peer.error, 0.001)
  near(peer.allowed, 1e-5 + 4 * 0.0005 + 0.002)
  const exactPeer = judge([1.001, 3], judged([1, 3], [1, 3], [1, 3]))
  near(exactPeer.error, 0.0005)
  near(exactPeer.allowed, 1e-5)
  const values = { shape: [2], data: Float64Array.of(1, 3) }
  t.deepEqual(judge([1, 3.5], values), { error: 0.25, allowed: 1e-5 })
})

test('a verdict of float32 cannot be fooled by NaN, by a length or by a reference that says nothing', (t) => {
  const good = judged([1, 3], [1, 3], [1, 3])
  for (const actual of [[NaN, 3], [1, Infinity], [1]]) {
    const { error, allowed } = judge(actual, good)
    t.false(error <= allowed)
  }
  t.throws(() => judge([1, 3], judged([NaN, 3], [1, 3], [1, 3])), { message: /another input/ })
  t.throws(() => judge([1, 3], judged([1, 3], [1, 3], [1, 3.1])), { message: /another input/ })
  t.throws(() => judge([1, 3], judged([1.1, 3], [1, 3], [1, 3])), { message: /another input/ })
})

test('relativeError cannot be fooled by NaN, by zeros or by a length', (t) => {
  t.is(relativeError([NaN, 4], [3, 4]), NaN)
  t.is(relativeError([Infinity, 4], [3, 4]), NaN)
  t.is(relativeError([0, 0], [0, 0]), NaN)
  t.throws(() => relativeError([3], [3, 4]), { message: /1 numbers with 2/ })
})

test('cachedFolder makes a folder once for many that ask, and again for another key', async (t) => {
  let made = 0
  const make = async (folder: string): Promise<void> => {
    made++
    mkdirSync(folder)
    await new Promise((resolve) => setTimeout(resolve, 50))
    writeFileSync(join(folder, 'content'), 'whole')
  }
  const folders = await Promise.all([1, 2, 3].map(() => cachedFolder('test-once', ['a'], make)))
  t.is(made, 1)
  t.is(new Set(folders).size, 1)
  t.is(readFileSync(join(folders[0]!, 'content'), 'utf8'), 'whole')

  const other = await cachedFolder('test-once', ['b'], make)
  t.is(made, 2)
  t.true(existsSync(folders[0]!), 'a checkout at another commit may be using it')
  const longAgo = new Date(Date.now() - 2 * 24 * 3600 * 1000)
  utimesSync(folders[0]!, longAgo, longAgo)
  const third = await cachedFolder('test-once', ['c'], make)
  t.false(existsSync(folders[0]!), 'nobody has used the folder of the old key for a day')
  t.true(existsSync(other))
  for (const folder of [other, third]) rmSync(folder, { recursive: true })
})

test('cachedFolder leaves nothing of a folder whose making failed', async (t) => {
  const make = async (folder: string): Promise<void> => {
    mkdirSync(folder)
    throw new Error('the disk is full')
  }
  await t.throwsAsync(cachedFolder('test-failing', ['a'], make), { message: 'the disk is full' })
  const again = await cachedFolder('test-failing', ['a'], async (folder) => {
    mkdirSync(folder)
  })
  t.deepEqual(readdirSync(again), [])
  t.deepEqual(
    readdirSync(dirname(again)).filter((name) => /^\.test-failing-[0-9]+$/.test(name)),
    [],
  )
  rmSync(again, { recursive: true })
})

test('every program of the tests that draws noise seeds it: a failure that comes with one in six draws is found too late', (t) => {
  const programs = globSync('test/**/*.ts', { cwd: packageRoot }).map((path) => ({
    path,
    text: readFileSync(join(packageRoot, path), 'utf8'),
  }))
  const drawing = programs.filter(({ text }) => /Tensor\.randn?\(/.test(text))
  t.true(drawing.length > 20, `${drawing.length} programs that draw`)
  const unseeded = drawing.filter(({ text }) => !/^ *manualSeed\(/m.test(text))
  t.deepEqual(
    unseeded.map(({ path }) => path),
    [],
  )
})

test('how late a timer is, is measured in files of tests that run alone', (t) => {
  // scripts/support/ava-runs.mjs has event-loop.test.js of every folder run after all others, one at a time.
  const files = globSync('test/**/*.test.ts', { cwd: packageRoot })
  const imports = /from '[^']*\/lateness\.js'/
  const measuring = files.filter((file) => imports.test(readFileSync(join(packageRoot, file), 'utf8')))
  t.true(measuring.length > 3)
  t.deepEqual(
    measuring.filter((file) => !file.endsWith('/event-loop.test.ts')),
    [],
  )
})
