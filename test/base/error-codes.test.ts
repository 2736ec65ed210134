import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { invalid, show } from '../../lib/base/check.js'
import { packageRoot } from '../../lib/base/paths.js'
import { errorCodes, GradCamError } from '../../lib/index.js'

/** The codes that a folder's sources name as strings, with a file of each. */
function codesIn(folder: string, sources: RegExp): Map<string, string> {
  const found = new Map<string, string>()
  for (const file of readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })) {
    if (!sources.test(file) || file.endsWith('error-codes.ts')) continue
    const text = readFileSync(join(packageRoot, folder, file), 'utf8')
    for (const [, code = ''] of text.matchAll(/['"](ERR_[A-Z_]+)['"]/g)) found.set(code, `${folder}/${file}`)
  }
  return found
}

/** Codes of Node's own errors, which our code compares with. */
const ofNode = /^ERR_(PARSE_ARGS|INVALID_ARG_|WORKER_(?!DIED)|STREAM|MODULE|UNKNOWN)/

test('every code that is thrown anywhere is in the table, and every code of the table is thrown somewhere', (t) => {
  const thrown = new Map([...codesIn('lib', /\.ts$/), ...codesIn('native', /\.(cc|h)$/)])
  for (const code of thrown.keys()) if (ofNode.test(code)) thrown.delete(code)
  t.true(thrown.size > 30, `${thrown.size} codes`)
  for (const [code, file] of thrown) t.true(Object.hasOwn(errorCodes, code), `${code} of ${file} is not in errorCodes`)
  for (const code of Object.keys(errorCodes)) t.true(thrown.has(code), `nothing throws ${code}`)
})

test('every code has a meaning in one sentence and an HTTP status', (t) => {
  for (const [code, { group, meaning, status }] of Object.entries(errorCodes)) {
    t.regex(meaning, /^[A-Zp].*\.$/, code)
    t.true(group.length > 0)
    t.true(status >= 400 && status < 600, code)
  }
})

test('an error is data: its message is the problem and the remedy, and JSON holds all but stack and cause', (t) => {
  const cause = new Error('why')
  const details = { layer: 'x' }
  const error = new GradCamError('ERR_SHAPE', 'It is flat.', { remedy: 'Raise it.', details, cause })
  t.is(error.message, 'It is flat. Raise it.')
  t.is(error.problem, 'It is flat.')
  t.is(error.cause, cause)
  t.deepEqual(JSON.parse(JSON.stringify(error)), {
    code: 'ERR_SHAPE',
    message: 'It is flat. Raise it.',
    remedy: 'Raise it.',
    details,
  })
  const plain = new GradCamError('ERR_SHAPE', 'It is flat.')
  t.is(plain.problem, plain.message)
  t.deepEqual(Object.keys(plain).sort(), ['code', 'name'])
  t.deepEqual(JSON.parse(JSON.stringify(plain)), { code: 'ERR_SHAPE', message: 'It is flat.' })
})

test('a refused argument is shown in one short line, whatever it is', (t) => {
  const uninspectable = {
    [Symbol.for('nodejs.util.inspect.custom')](): never {
      throw new Error('no')
    },
  }
  for (const value of [undefined, 'a'.repeat(10_000), 'a\nb', new Array(1e6).fill(1), new Error('e'), uninspectable]) {
    t.notRegex(show(value), /\n/)
    t.true(show(value).length <= 201)
  }
  const error = invalid('seed', 'an integer from 0 on', -1)
  t.is(error.message, '`seed` must be an integer from 0 on, but is -1.')
  t.deepEqual(error.details, { argument: 'seed', expected: 'an integer from 0 on', value: '-1' })
})
