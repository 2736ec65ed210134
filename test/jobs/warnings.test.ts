import test from 'ava'
import { join } from 'node:path'
import { writeJpegs } from '../support/batch.js'
import { harmfulModels } from '../support/harmful.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { lines } from '../support/workplace.js'

const models = await harmfulModels()
// LibTorch lets a `warnings.warn` of a model speak once in a process, so that one batch alone has its text.
const job = ['--layer', 'late', '--size', '8', '--batch', '1']

test('what the model warns of is in the manifest, the report and the summary of a job', async (t) => {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), ['a.jpg', 'b.jpg'])
  const out = join(folder, 'out')
  const args = ['batch', join(folder, 'in'), '--model', models.file('Warns'), '--out', out, ...job]
  const ended = gradcam(args)
  t.is(ended.code, 0, ended.stderr)
  t.regex(ended.stderr, /^gradcam: warning: the model speaks$/m)
  t.deepEqual(
    lines(out).flatMap(({ warnings = [] }) => warnings),
    ['the model speaks'],
  )
  const repeated = gradcam([...args, '--force', '--json'])
  const { summary } = JSON.parse(repeated.stdout.trim().split('\n').at(-1) ?? '') as { summary: { warnings: string[] } }
  t.deepEqual(summary.warnings, ['the model speaks'])
})
