import test from 'ava'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cachedFolder } from './cached-folder.js'
import { norm, relativeError } from './parity.js'

test('relativeError is the norm of the difference over the norm', (t) => {
  t.is(relativeError([3, 4], [3, 4]), 0)
  t.is(relativeError([3, 9], [3, 4]), 1)
  t.is(relativeError(new Float32Array([0, 0]), new Float64Array([6, 8])), 1)
  t.is(norm([3n, 4n]), 5)
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
  t.false(existsSync(folders[0]!), 'the folder of the old key is out of date')
  rmSync(other, { recursive: true })
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
