import test from 'ava'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeJpegs } from '../support/batch.js'
import { harmfulModels } from '../support/harmful.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { lines } from '../support/workplace.js'

const models = await harmfulModels()
const preprocess = JSON.stringify({ resize: 8, crop: [8, 8], mean: 0, std: 1 })

test('what the model warns of is in the manifest, the report and the summary of a job', async (t) => {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), ['a.jpg', 'b.jpg'])
  const job = (out: string, ...more: string[]) => {
    const model = ['--model', models.file('Warns'), '--layer', 'late', '--preprocess', preprocess]
    return gradcam(['batch', join(folder, 'in'), ...model, '--out', join(folder, out), ...more])
  }
  const ended = job('out')
  t.is(ended.code, 0, ended.stderr)
  t.is(ended.stderr.match(/^gradcam: warning: the model speaks$/gm)?.length, 1)
  // Of each batch, unless LibTorch lets a warning of one line of source speak once only.
  const said = lines(join(folder, 'out')).flatMap(({ warnings = [] }) => warnings)
  t.deepEqual([...new Set(said)], ['the model speaks'])
  t.is(gradcam(['report', join(folder, 'out')]).code, 0)
  t.regex(readFileSync(join(folder, 'out', 'report.html'), 'utf8'), /"Warnings":"the model speaks"/)
  const { summary } = JSON.parse(job('again', '--json').stdout.trim().split('\n').at(-1) ?? '') as {
    summary: { warnings: string[] }
  }
  t.deepEqual(summary.warnings, ['the model speaks'])
})
