import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import { packageRoot } from '../../lib/base/paths.js'

interface Skip {
  readonly file: string
  readonly title: string
  readonly what: string
  readonly why: string | null
  readonly inCi: boolean
}

const script = pathToFileURL(join(packageRoot, 'scripts', 'build', 'skips.mjs')).href
const { summary } = (await import(script)) as {
  summary: (skips: readonly Skip[], ci: boolean) => { lines: string[]; failed: boolean }
}

const cuda = { file: 'test/a.test.js', what: 'a CUDA device', why: null, inCi: false }
const peers = {
  file: 'test/b.test.js',
  title: 'maps are equal',
  what: 'the peers',
  why: 'no index\nno wheel',
  inCi: true,
}

test('the end of npm test names what was skipped, why and where', (t) => {
  const skips = [{ ...cuda, title: 'one' }, peers, { ...cuda, title: 'two' }]
  const lines = [
    '',
    '2 tests were skipped, for lack of a CUDA device:',
    '  test/a.test.js: 2 tests',
    '',
    '1 test was skipped, for lack of the peers:',
    '  no index\n  no wheel',
    '  test/b.test.js: maps are equal',
  ]
  t.deepEqual(summary(skips, false), { lines, failed: false })
  t.deepEqual(summary([], true), { lines: [], failed: false })
})

test('in CI what it has to have is a failure, and what it cannot have is named', (t) => {
  t.false(summary([{ ...cuda, title: 'one' }], true).failed)
  const both = summary([{ ...cuda, title: 'one' }, peers], true)
  t.true(both.failed)
  t.true(both.lines.includes('1 test was skipped, for lack of the peers (CI has to have it):'))
})

test('no test is skipped but by test/support/needs.ts, which notes it', (t) => {
  const folder = join(packageRoot, 'test')
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  t.true(sources.length > 60)
  const skipping = sources.filter((name) => /\.(?:skip|todo|failing)\b/.test(readFileSync(join(folder, name), 'utf8')))
  t.deepEqual(
    skipping.filter((name) => name !== join('scripts', 'skips.test.ts')),
    [join('support', 'needs.ts')],
  )
})
