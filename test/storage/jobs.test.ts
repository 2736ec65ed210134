import type { ExecutionContext } from 'ava'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  BucketSink,
  BucketStore,
  FileSource,
  makeJobSpec,
  ModelExplainer,
  readJobSpec,
  readManifest,
  runJob,
} from '../../lib/index.js'
import { BucketFolder } from '../../lib/storage/bucket-folder.js'
import { sampleModel, writeJpegs } from '../support/batch.js'
import { runNode, temporaryFolder, type Ended } from '../support/package-copy.js'
import { namesIn, secretKey, startStorage, withStorage } from '../support/storage-server.js'
import { copyOut, upload } from '../support/storage-job.js'
import { common, lines, main } from '../support/workplace.js'

const names = Array.from({ length: 10 }, (_, i) => `${i % 3 === 0 ? 'sub/' : ''}${i}.jpg`)
const write = ['--write', 'overlay,npy', '--batch', '1']

interface Place {
  readonly folder: string
  readonly bucket: BucketFolder
  readonly batch: (...args: readonly string[]) => Ended
  /** The lines of a local job of the same images, by id, without what differs: the place and the times. */
  readonly local: string
}

async function placeOf(t: ExecutionContext): Promise<Place> {
  const bucket = await startStorage(t)
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), names)
  await upload(join(folder, 'in'), new BucketFolder(`${bucket.url}in`))
  const batch = (...args: readonly string[]): Ended => {
    const ended = runNode([main, 'batch', ...args, ...common, ...write], {}, folder)
    t.false((ended.stdout + ended.stderr).includes(secretKey))
    return ended
  }
  t.is(batch('in', '--out', 'local').code, 0)
  return { folder, bucket, batch, local: join(folder, 'local') }
}

const byText = (a: string, b: string): number => (a < b ? -1 : 1)

const told = (folder: string): string[] =>
  lines(folder)
    .map((line) => JSON.stringify({ ...line, input: '', inputFile: null, milliseconds: 0 }))
    .sort()

withStorage('objects as sources and results: the same files and lines as of folders', async (t) => {
  const { folder, bucket, batch, local } = await placeOf(t)
  const out = `${bucket.url}maps`
  const ended = batch(`${bucket.url}in`, '--out', out)
  t.is(ended.code, 0, ended.stderr)
  t.regex(ended.stdout, /10 images explained, 0 failed; 20 files in s3:/)
  const copy = await copyOut(new BucketFolder(out), join(folder, 'copy'))
  t.deepEqual(told(copy), told(local))
  for (const line of lines(local))
    for (const file of Object.values('files' in line ? line.files : {}))
      t.true(readFileSync(join(copy, file)).equals(readFileSync(join(local, file))), file)
  t.deepEqual(
    (await namesIn(new BucketFolder(out))).filter((name) => !/\.(jpg|npy)$/.test(name)),
    ['job.json', 'manifest.jsonl'],
    'no lock and no journal is left',
  )
  t.regex(JSON.stringify(lines(copy)[0]), new RegExp(`"input":"${bucket.url}in/`))

  // A resumed job does what is not done: a new image, one that has changed, and one whose result is gone.
  await new BucketFolder(out).remove(['1.jpg.overlay.jpg'])
  await new BucketFolder(`${bucket.url}in`).put('2.jpg', readFileSync(join(folder, 'in', '4.jpg')))
  await new BucketFolder(`${bucket.url}in`).put('new.jpg', readFileSync(join(folder, 'in', '4.jpg')))
  t.is(batch(`${bucket.url}in`, '--out', out).code, 2, 'it holds a job')
  const again = batch(`${bucket.url}in`, '--out', out, '--resume')
  t.is(again.code, 0, again.stderr)
  t.regex(again.stdout, /11 images explained, 0 failed, 8 of these before; 6 files/)
  const verified = batch(`${bucket.url}in`, '--out', out, '--resume', '--verify')
  t.regex(verified.stdout, /11 images explained, 0 failed, 11 of these before; 0 files/)
  await new BucketFolder(out).put('1.jpg.overlay.jpg', 'x'.repeat(readFileSync(join(copy, '1.jpg.overlay.jpg')).length))
  t.regex(batch(`${bucket.url}in`, '--out', out, '--resume', '--verify').stdout, /10 of these before; 2 files/)
  t.is(batch(`${bucket.url}in`, '--out', out, '--resume', '--alpha', '0.1').code, 2, 'another job')
})

withStorage('a list of objects, an object, a broken one, a key that is not a path', async (t) => {
  const { folder, bucket, batch } = await placeOf(t)
  const source = new BucketFolder(`${bucket.url}odd`)
  await source.put('good.jpg', readFileSync(join(folder, 'in', '1.jpg')))
  await source.put('broken.jpg', 'not an image')
  await source.put('note.txt', 'not an image')
  await source.put('a/../../b.jpg', 'a key that leads out')
  await source.put('maps/result.jpg', 'of an earlier job')
  const out = `${bucket.url}odd/maps`
  const ended = batch(`${bucket.url}odd/`, '--out', out)
  t.is(ended.code, 3, ended.stderr)
  const found = lines(await copyOut(new BucketFolder(out), join(folder, 'odd')))
  t.deepEqual(found.map((line) => String('error' in line ? line.error.code : line.id)).sort(byText), [
    'ERR_FILE_UNREADABLE',
    'ERR_IMAGE_CORRUPT',
    'good.jpg',
  ])
  writeFileSync(join(folder, 'list.txt'), `${bucket.url}odd/good.jpg\n${bucket.url}odd/none.jpg\nin/1.jpg\n`)
  const listed = batch('list.txt', '--out', 'listed')
  t.is(listed.code, 3, listed.stderr)
  const { host } = new URL(bucket.url)
  t.deepEqual(
    lines(join(folder, 'listed'))
      .map((line) => `${line.id} ${'error' in line ? line.error.code : 'ok'}`)
      .sort(byText),
    [`^s3/${host}/odd/good.jpg ok`, `^s3/${host}/odd/none.jpg ERR_IMAGE_NOT_FOUND`, 'in/1.jpg ok'],
  )
  t.is(batch(`${bucket.url}odd/good.jpg`, '--out', 'single').code, 0)
  t.is(lines(join(folder, 'single'))[0]?.id, 'good.jpg')
  for (const [args, reason] of [
    [[`${bucket.url}in`, '--out', `${bucket.url}in`], /is the folder of the images/],
    [[`${bucket.url}in`, '--out', bucket.url], /contains the folder of the images/],
    [[`${bucket.url}in`, 'in', '--out', 'x'], /files or objects/],
    [[`${bucket.url}nothing`, '--out', 'x'], /There is no object/],
    [['s3://no_bucket!', '--out', 'x'], /an address such as s3:/],
    [['in', '--out', 's3://no-such-bucket-here/x'], /Make the bucket/],
  ] as const) {
    const { code, stderr } = batch(...args)
    t.true(code === 1 || code === 2, `${args.join(' ')}: ${code}`)
    t.regex(stderr, reason)
  }
})

withStorage('a job that is killed goes on with what it had recorded', async (t) => {
  const { folder, bucket, batch, local } = await placeOf(t)
  const out = new BucketFolder(`${bucket.url}maps`)
  const args = [`${bucket.url}in`, '--out', out.url, ...common, ...write]
  const child = spawn(process.execPath, [main, 'batch', ...args], { cwd: folder, stdio: 'ignore' })
  t.teardown(() => child.kill('SIGKILL'))
  const recorded = async (): Promise<number> => {
    let count = 0
    for await (const { name } of out.list('.gradcam-lines/')) for await (const _ of out.lines(name)) count++
    return count
  }
  for (let tries = 0; (await recorded()) < 3 && tries < 600; tries++) await sleep(20)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const before = await recorded()
  t.true(before >= 3, `${before} were recorded`)
  const began = performance.now()
  const ended = batch(`${bucket.url}in`, '--out', out.url, '--resume')
  t.is(ended.code, 0, ended.stderr)
  t.regex(ended.stderr, /It is taken over if it is not renewed for 30 s/)
  t.true(performance.now() - began > 29_000, 'the lock of the dead process ran out')
  if (before < names.length) t.regex(ended.stdout, new RegExp(`${before} of these before`))
  const copy = await copyOut(out, join(folder, 'copy'))
  t.deepEqual(told(copy), told(local))
  t.is(lines(copy).length, names.length)
})

withStorage('from TypeScript a job keeps its state and results in a storage by the exported classes', async (t) => {
  const { folder, bucket, local } = await placeOf(t)
  const out = `${bucket.url}typed`
  const sources = [`${bucket.url}in`]
  const run = async (resume: boolean) => {
    const source = await FileSource.open(sources, { labels: null, exclude: out })
    const spec = await makeJobSpec({
      model: sampleModel,
      layer: 'features',
      sources,
      base: source.base,
      write: ['overlay', 'npy'],
    })
    const [store, sink] = [new BucketStore(out, { resume }), new BucketSink(out)]
    return {
      spec,
      summary: await runJob(spec, { source, store, sink, explainer: new ModelExplainer({ batchSize: 1 }) }),
    }
  }
  const { spec, summary } = await run(false)
  t.like(summary, { explained: names.length, failed: 0, files: 2 * names.length })
  t.deepEqual(await readJobSpec(out), spec)
  const ids: string[] = []
  for await (const line of readManifest(out)) ids.push(line.id)
  t.deepEqual(ids.sort(byText), [...names].sort(byText))
  const copy = await copyOut(new BucketFolder(out), join(folder, 'typed'))
  t.deepEqual(told(copy), told(local))
  for (const line of lines(local))
    for (const file of Object.values('files' in line ? line.files : {}))
      t.true(readFileSync(join(copy, file)).equals(readFileSync(join(local, file))), file)
  await t.throwsAsync(run(false), { code: 'ERR_JOB_EXISTS' })
  t.like((await run(true)).summary, { explained: names.length, before: names.length, files: 0 })
  t.is(await readJobSpec(`${bucket.url}nothing`), null)
  for (const wrong of ['typed', '']) {
    t.throws(() => new BucketStore(wrong), { code: 'ERR_INVALID_ARGUMENT' })
    t.throws(() => new BucketSink(wrong), { code: 'ERR_INVALID_ARGUMENT' })
  }
})
