import test from 'ava'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JobSpec } from '../../lib/index.js'
import { sampleModel, writeJpegs } from '../support/batch.js'
import { common, lines, workplace } from '../support/workplace.js'
import { needing } from '../support/needs.js'

test('results are not put where the images are looked for', async (t) => {
  const { folder, batch } = await workplace(t)
  for (const [source, out] of [
    ['in', 'in'],
    ['in', '.'],
    ['in/**/*.jpg', '.'],
    ['in/sub', 'in'],
  ] as const) {
    const ended = batch([source, '--out', out, ...common])
    t.is(ended.code, 2, `${source} to ${out}`)
    t.regex(ended.stderr, /would be taken for images\. Choose a folder of its own, e\.g\. '\w+-maps'\.\n$/)
    t.false(existsSync(join(folder, out, 'job.json')))
  }
  // A folder in it is left out of the images.
  for (const more of [[], ['--resume']]) {
    t.is(batch(['in/**/*.jpg', '--out', 'in/maps', ...common, ...more]).code, 0)
    t.is(lines(join(folder, 'in', 'maps')).length, 2)
  }
})

test('a job without images says so', async (t) => {
  const { folder, batch } = await workplace(t, [])
  writeFileSync(join(folder, 'list.txt'), '\n\n')
  const empty = batch(['list.txt', '--out', 'out', ...common])
  t.is(empty.code, 0)
  t.regex(empty.stderr, /no image was found in list\.txt\. In a folder, images end in \.jpg/)
})

test('labels for another number of classes are reported once', async (t) => {
  const { folder, batch } = await workplace(t)
  writeFileSync(join(folder, 'labels.txt'), 'background\ncat\ndog\n')
  const ended = batch(['in', '--out', 'out', ...common, '--labels', 'labels.txt'])
  t.is(ended.code, 0)
  t.is(
    ended.stderr,
    "gradcam: there are 3 labels for the model's 8 classes. Check --labels: its first is taken for class 0.\n",
  )
})

needing('posix', process.platform !== 'win32')('a pipe among the inputs does not block a job', async (t) => {
  const { folder, batch } = await workplace(t, ['a.jpg'])
  t.is(spawnSync('mkfifo', [join(folder, 'pipe.jpg')]).status, 0)
  const ended = batch(['pipe.jpg', 'in', '--out', 'out', ...common])
  t.is(ended.code, 3)
  t.regex(ended.stderr, /pipe\.jpg' cannot be read: it is a pipe or a device\. Save it to a file\./)
  t.deepEqual(
    lines(join(folder, 'out'))
      .map(({ id }) => id)
      .sort(),
    ['in/a.jpg', 'pipe.jpg'],
  )
})

test('names below a glob do not depend on what matches it', async (t) => {
  const { folder, batch } = await workplace(t, ['sub/a1.jpg', 'other/b.jpg'])
  t.is(batch(['in/**/a*.jpg', '--out', 'out', ...common]).code, 0)
  t.deepEqual(
    lines(join(folder, 'out')).map(({ id }) => id),
    ['sub/a1.jpg'],
  )
  await writeJpegs(join(folder, 'in'), ['other/a2.jpg'])
  const again = batch(['in/**/a*.jpg', '--out', 'out', ...common, '--resume'])
  t.is(again.code, 0, again.stderr)
  t.deepEqual(
    lines(join(folder, 'out')).map(({ id }) => id),
    ['sub/a1.jpg', 'other/a2.jpg'],
  )
})

test('a job that could not start leaves nothing in the way of the next', async (t) => {
  const { folder, batch } = await workplace(t)
  for (const wrong of [
    ['--layer', 'featurs'],
    ['--layer', 'features', '--target', '99'],
  ]) {
    const ended = batch(['in', '--out', 'out', '--model', sampleModel, ...wrong])
    t.is(ended.code, 1, wrong.join(' '))
    t.regex(ended.stderr, /^gradcam: [^\n]+\n$/)
  }
  const ended = batch(['in', '--out', 'out', ...common, '--target', '1'])
  t.is(ended.code, 0, ended.stderr)
  t.is((JSON.parse(readFileSync(join(folder, 'out', 'job.json'), 'utf8')) as JobSpec).layer, 'features')
  t.is(lines(join(folder, 'out')).length, 2)
})
