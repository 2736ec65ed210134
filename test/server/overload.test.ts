import test from 'ava'
import { join } from 'node:path'
import { packageRoot } from '../../lib/base/paths.js'
import { runNode } from '../support/package-copy.js'

test('beyond what the server can do every request is answered: 200, or 503 with a time to come again', (t) => {
  t.timeout(240_000)
  const script = join(packageRoot, 'scripts', 'check', 'overload.mjs')
  const { code, stdout, stderr } = runNode([
    script,
    '--count',
    '300',
    '--queue',
    '8',
    '--times',
    '6',
    '--seconds-to-measure',
    '1',
  ])
  t.is(code, 0, stdout + stderr)
  t.regex(stdout, /no reply lost/)
  // It was more than the server could do, and it did what it could.
  const [, answers = '{}'] = /: (\{.*\})/.exec(stdout) ?? []
  const { 200: good = 0, 503: refused = 0 } = JSON.parse(answers) as Record<string, number>
  t.true(good > 0 && refused > 0, stdout)
})
