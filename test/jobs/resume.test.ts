import test, { type ExecutionContext } from 'ava'
import { createHash } from 'node:crypto'
import { appendFileSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JobResultLine } from '../../lib/jobs/job-line.js'
import { readLine } from '../../lib/jobs/read-line.js'
import {
  FileSource,
  FolderSink,
  FolderStore,
  makeJobSpec,
  ModelExplainer,
  runJob,
  ScriptModule,
  type FolderStoreOptions,
} from '../../lib/index.js'
import { jpegOf, sampleModel, writeJpegs } from '../support/batch.js'
import { temporaryFolder } from '../support/package-copy.js'
import { common, lines, workplace } from '../support/workplace.js'

const names = ['a.jpg', 'b.jpg', 'c.jpg']
const model = await ScriptModule.load(sampleModel)
test.after.always(() => model.dispose())

/** Runs a job in the folder; the inputs that were explained, and how many of them had changed. */
async function run(folder: string, options: FolderStoreOptions = {}) {
  const [images, out] = [join(folder, 'in'), join(folder, 'out')]
  const source = await FileSource.open([images], { exclude: out })
  const write = ['overlay', 'npy'] as const
  const preprocess = { resize: 32, crop: [32, 32], resample: 'bilinear', mean: 0, std: 1 } as const
  const spec = await makeJobSpec({ model: sampleModel, layer: 'features', write, preprocess, base: source.base })
  const again: string[] = []
  let changed = 0
  const summary = await runJob(spec, {
    source,
    store: new FolderStore(out, options),
    sink: new FolderSink(out),
    explainer: new ModelExplainer({ model, batchSize: 1 }),
    onStart: (start) => (changed = start.changed ?? 0),
    onProgress: ({ line }) => again.push(line.id),
  })
  return { again: again.sort(), changed, summary }
}

async function finished(t: ExecutionContext) {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), names)
  t.is((await run(folder)).summary.explained, names.length)
  const out = join(folder, 'out')
  const lineOf = (id: string) => lines(out).find((line) => line.id === id) as JobResultLine
  const resume = async ({ forged = false, ...options }: FolderStoreOptions & { forged?: boolean } = {}) => {
    const { again, changed, summary } = await run(folder, { resume: true, ...options })
    t.like(summary, { explained: names.length, failed: 0 })
    // A line that is not one says nothing of what was done before.
    t.is(changed, forged ? 0 : again.length)
    return again
  }
  return { folder, out, lineOf, resume }
}

/** The bytes of a file with one bit changed, near their end. */
function flipped(file: string): Buffer {
  const bytes = readFileSync(file)
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 20) ^ 1, bytes.length - 20)
  return bytes
}

const sha256 = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex')

test.serial('a line has the size and digest of each of its files and of its input', async (t) => {
  const { folder, out, lineOf } = await finished(t)
  for (const name of names) {
    const line = lineOf(name)
    t.is(line.sha256, sha256(join(folder, 'in', name)))
    const { size, mtimeMs } = statSync(join(folder, 'in', name))
    t.deepEqual(line.inputFile, { bytes: size, modified: mtimeMs })
    t.deepEqual(Object.keys(line.files), ['overlay', 'npy'])
    for (const [kind, file] of Object.entries(line.files)) {
      const path = join(out, file)
      t.deepEqual(line.digests?.[kind], { bytes: statSync(path).size, sha256: sha256(path) }, file)
    }
  }
})

test.serial('a result of another size, or that is gone, is made again', async (t) => {
  const { out, lineOf, resume } = await finished(t)
  const whole = names.map((name) => sha256(join(out, lineOf(name).files['overlay'] as string)))
  t.deepEqual(await resume(), [])
  truncateSync(join(out, 'a.jpg.overlay.jpg'), 50)
  rmSync(join(out, 'b.jpg.map.npy'))
  t.deepEqual(await resume(), ['a.jpg', 'b.jpg'])
  appendFileSync(join(out, 'c.jpg.map.npy'), 'more')
  t.deepEqual(await resume(), ['c.jpg'])
  t.deepEqual(
    names.map((name) => sha256(join(out, lineOf(name).files['overlay'] as string))),
    whole,
  )
  t.is(lines(out).length, names.length)
})

test.serial(
  'an input with other bytes is explained again; one that was only touched, or is gone, is not',
  async (t) => {
    const { folder, out, lineOf, resume } = await finished(t)
    const input = (name: string) => join(folder, 'in', name)
    const before = lineOf('a.jpg')
    writeFileSync(input('a.jpg'), await jpegOf(17))
    utimesSync(input('b.jpg'), new Date(), new Date())
    rmSync(input('c.jpg'))
    t.deepEqual(await resume(), ['a.jpg'])
    t.is(lineOf('a.jpg').sha256, sha256(input('a.jpg')))
    t.notDeepEqual(lineOf('a.jpg').map, before.map)
    t.is(lines(out).length, names.length)

    // The same size at another time: the bytes decide.
    const { mtime } = statSync(input('b.jpg'))
    writeFileSync(input('b.jpg'), flipped(input('b.jpg')))
    utimesSync(input('b.jpg'), mtime, new Date(mtime.getTime() + 1000))
    t.deepEqual(await resume(), ['b.jpg'])
  },
)

test.serial('--verify finds what has its size and time still', async (t) => {
  const { folder, out, lineOf, resume } = await finished(t)
  const flip = (file: string) => {
    const { atime, mtimeMs } = statSync(file)
    writeFileSync(file, flipped(file))
    utimesSync(file, atime, mtimeMs / 1000)
  }
  flip(join(out, 'a.jpg.map.npy'))
  flip(join(folder, 'in', 'b.jpg'))
  const { inputFile } = lineOf('b.jpg')
  // A time is set to the microsecond: the recorded one is made the same, as if it had been so from the start.
  const text = readFileSync(join(out, 'manifest.jsonl'), 'utf8')
  const now = statSync(join(folder, 'in', 'b.jpg')).mtimeMs
  writeFileSync(join(out, 'manifest.jsonl'), text.replace(`"modified":${inputFile?.modified}`, `"modified":${now}`))
  t.deepEqual(await resume(), [])
  t.deepEqual(await resume({ verify: true }), ['a.jpg', 'b.jpg'])
  t.deepEqual(await resume({ verify: true }), [])
})

test.serial('a job of version 0.1.0, without sizes and digests, is resumed', async (t) => {
  const { folder, out, resume } = await finished(t)
  const old = lines(out).map((line) => {
    const { digests: _, inputFile: __, ...rest } = line as JobResultLine
    return `${JSON.stringify(rest)}\n`
  })
  writeFileSync(join(out, 'manifest.jsonl'), old.join(''))
  t.deepEqual(await resume(), [])
  t.deepEqual(await resume({ verify: true }), [])
  truncateSync(join(out, 'a.jpg.overlay.jpg'), 0)
  writeFileSync(join(folder, 'in', 'b.jpg'), await jpegOf(17))
  t.deepEqual(await resume(), ['a.jpg'])
  t.deepEqual(await resume({ verify: true }), ['b.jpg'])
})

test.serial('lines that are not lines of a job count as not done, and end nothing', async (t) => {
  const { out, lineOf, resume } = await finished(t)
  const good = lineOf('a.jpg') as unknown as Record<string, unknown>
  const wrong: Readonly<Record<string, unknown>> = {
    input: 7,
    sha256: 'abc',
    target: '1',
    label: {},
    score: 'high',
    top: null,
    method: undefined,
    layer: [],
    size: [1],
    region: { left: 0 },
    map: { height: 4, width: 4, levels: 'AAAA' },
    files: null,
    digests: { overlay: { bytes: -1, sha256: good['sha256'] } },
    inputFile: { bytes: 1 },
    milliseconds: null,
    error: null,
  }
  const forged = [
    ...Object.entries(wrong).map(([key, value]) => ({ ...good, [key]: value })),
    { ...good, files: { overlay: '../../../etc/passwd' } },
    { ...good, files: { overlay: '/etc/passwd' } },
    { ...good, files: { overlay: 5 } },
    { ...good, files: ['a'] },
    { id: 'x', files: null },
    { id: '__proto__', input: 'x', sha256: null, error: { code: 5, message: 'x' } },
    { id: 'x', input: 'x', sha256: null, error: 'torn' },
    null,
    [],
    'text',
    7,
    {},
  ].map((line) => JSON.stringify(line))
  for (const line of forged) t.is(readLine(line), null, line.slice(0, 300))
  for (const text of ['', '{', JSON.stringify(good).slice(0, -1)]) t.is(readLine(text), null)
  t.deepEqual(readLine(JSON.stringify({ ...good, later: 'version' })) as unknown, { ...good, later: 'version' })
  t.truthy(readLine(JSON.stringify({ ...good, score: null })), 'a score that is not a number')

  const kept = ['b.jpg', 'c.jpg'].map((name) => JSON.stringify(lineOf(name)))
  writeFileSync(join(out, 'manifest.jsonl'), `${[...forged, ...kept].join('\n')}\n`)
  t.deepEqual(await resume({ forged: true }), ['a.jpg'])
  t.deepEqual(
    lines(out)
      .map(({ id }) => id)
      .sort(),
    names,
  )
})

test.serial('on the command line', async (t) => {
  const { folder, batch } = await workplace(t, ['a.jpg'])
  const args = ['in', '--out', 'out', ...common]
  t.is(batch(args).code, 0)
  truncateSync(join(folder, 'out', 'a.jpg.overlay.jpg'), 50)
  const ended = batch([...args, '--resume', '--verify'])
  t.is(ended.code, 0)
  t.is(ended.stderr, 'gradcam: 1 input explained again: the image or the result had changed since the last run.\n')
  t.regex(batch([...args, '--verify']).stderr, /--verify requires --resume/)
})
