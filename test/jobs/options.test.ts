import test from 'ava'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { readBatchCall, type BatchCall } from '../../lib/cli/batch-options.js'
import { readList } from '../../lib/jobs/read-list.js'
import type { Values } from '../../lib/cli/command.js'
import {
  checkSameJob,
  explainAll,
  FileSource,
  makeJobSpec,
  readLabels,
  ScriptModule,
  type GradCamError,
  type JobSpec,
  type Preprocess,
} from '../../lib/index.js'
import { sampleLabels, sampleModel, writeJpegs } from '../support/batch.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { common } from '../support/workplace.js'

const call = (values: Values): Promise<BatchCall> => readBatchCall({ model: 'm.pt', out: 'out', ...values }, ['in'])

test('labels as they are published', async (t) => {
  const folder = temporaryFolder(t)
  const names = readFileSync(sampleLabels, 'utf8').trim().split('\n')
  const numbered = Object.fromEntries(names.map((name, i) => [i, name]))
  const kinds: Record<string, string> = {
    array: JSON.stringify(names),
    object: JSON.stringify(numbered),
    pairs: JSON.stringify(Object.fromEntries(names.map((name, i) => [i, [`n0${i}`, name]])), null, 2),
    config: JSON.stringify({ id2label: numbered, label2id: {} }),
    mark: `\uFEFF${JSON.stringify(names)}`,
    windows: `\uFEFF${names.join('\r\n')}\r\n`,
  }
  for (const [kind, text] of Object.entries(kinds)) {
    const file = join(folder, kind)
    writeFileSync(file, text)
    t.deepEqual(await readLabels(file), names, kind)
    t.is((await call({ labels: file, target: 'Rabbit' })).job.target, 2)
  }
  const file = join(folder, 'other')
  writeFileSync(file, '{"2": "fish"}')
  t.deepEqual(await readLabels(file), ['', '', 'fish'])
  for (const text of ['{"cat": 0}', '{"0": 1}', '{"0": "cat"', '[1]', '{}', 'null'.padStart(9, '['), '']) {
    writeFileSync(file, text)
    const error = await t.throwsAsync<GradCamError>(readLabels(file), undefined, text)
    t.is(error?.code, 'ERR_INVALID_ARGUMENT')
    t.regex(error?.message ?? '', /holds no labels\. Write one name a line/)
  }
})

test('preprocessing by name, as JSON and in a file', async (t) => {
  const text = '{"resize": 64, "crop": [48, 40]}'
  const file = join(temporaryFolder(t), 'how.json')
  writeFileSync(file, text)
  const read = async (preprocess: string) => (await call({ preprocess })).job.preprocess as Preprocess
  const given = await read(` ${text}`)
  t.deepEqual([given.resize, given.crop], [64, [48, 40]])
  t.deepEqual(await read(file), given)
  t.is((await read('clip')).resize, 224)
  await t.throwsAsync(read('{"resize": 64'), { message: /^'\{"resize": 64' is not JSON/ })
  await t.throwsAsync(read('{"resise": 64}'), { message: /no option 'resise'/ })
})

test('what differs in a long list is shown, not the list', async (t) => {
  const model = join(temporaryFolder(t), 'm.pt')
  writeFileSync(model, 'model')
  const labels = Array.from({ length: 1000 }, (_, i) => `class ${i}`)
  const describe = async (names: readonly string[] | null, sources = ['in']) =>
    makeJobSpec({ ...(await call({ model })).job, labels: names, sources, base: '/base' })
  const before = await describe(labels)
  const refused = (now: JobSpec): string =>
    t.throws(() => checkSameJob(before, now), { code: 'ERR_JOB_CHANGED' }).message
  t.regex(
    refused(await describe([...labels.slice(0, 7), 'cat', ...labels.slice(8)])),
    /resumed; labels\[7\]: "class 7" before, "cat" now\. Give/,
  )
  t.regex(
    refused(await describe(labels.slice(0, 999))),
    /labels: 1000 before, 999 now; labels\[999\]: "class 999" before, none now\./,
  )
  t.regex(refused(await describe(null)), /labels: 1000 entries before, null now\./)
  t.regex(refused(await describe(labels, ['in', 'on'])), /sources: \["in"\] before, \["in","on"\] now\./)
  const same = await describe(labels, ['./in/'])
  t.notThrows(() => checkSameJob(before, same))
})

test('numbers are numbers', async (t) => {
  const { maxPixels, batchSize, job } = await call({ 'max-pixels': '1e9', batch: '3', alpha: '0' })
  t.deepEqual([maxPixels, batchSize, job.alpha], [1e9, 3, 0])
  t.is((await call({})).maxPixels, null)
  for (const option of ['max-pixels', 'batch', 'alpha'])
    for (const value of ['', ' ', '-1', 'many', 'NaN'])
      await t.throwsAsync(call({ [option]: value }), { message: new RegExp(`^--${option} requires`) })
})

test('the image that is too large for the default is explained when more is allowed', async (t) => {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), ['a.jpg'])
  const args = ['batch', join(folder, 'in'), ...common, '--out', join(folder, 'out')]
  const small = gradcam([...args, '--max-pixels', '6911'])
  t.is(small.code, 3)
  t.regex(small.stderr, /96 x 72 = 6912 pixels; more than 6911 are refused.*--max-pixels/)
  t.is(gradcam([...args, '--max-pixels', '6912', '--resume', '--retry-failed']).code, 0)
})

test('a list begins after the mark that Windows puts first', async (t) => {
  const file = join(temporaryFolder(t), 'list.txt')
  for (const text of ['a.jpg\r\nb.jpg\t1\r\n', '{"path": "a.jpg"}\n{"path": "b.jpg", "target": 1}\n']) {
    writeFileSync(file, `\uFEFF${text}`)
    const found = []
    for await (const entry of readList(file, null)) found.push(entry)
    t.deepEqual(found, [{ path: resolve('a.jpg') }, { path: resolve('b.jpg'), target: 1 }])
  }
})

test('a table is not taken for an image', async (t) => {
  await t.throwsAsync(FileSource.open(['list.csv'], { exclude: '.' }), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /'list\.csv' is not a list\. Write a path a line/,
  })
})

test('a time to wait is a time', async (t) => {
  using model = await ScriptModule.load(sampleModel)
  for (const maxWait of [NaN, -1, '5'])
    t.throws(() => explainAll([], { model, layer: 'features', maxWait: maxWait as number }), {
      code: 'ERR_INVALID_ARGUMENT',
      message: /^`maxWait` must be a number of milliseconds/,
    })
})
