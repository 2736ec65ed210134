import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { enqueueJob, FileSource, startWorker } from '../../lib/index.js'
import { BucketFolder } from '../../lib/storage/bucket-folder.js'
import { sampleModel } from '../support/batch.js'
import { assertSameResults, batchSize, localJob, queuePlace } from '../support/queue-job.js'
import { hasRedis, withRedis } from '../support/queue-server.js'
import { copyOut, upload } from '../support/storage-job.js'
import { namesIn, secretKey, startStorage, withStorage } from '../support/storage-server.js'
import { runNode } from '../support/package-copy.js'
import { common, main } from '../support/workplace.js'

/** Skipped, and noted, where either is not there. */
const withBoth = hasRedis ? withStorage : withRedis

const names = Array.from({ length: 16 }, (_, i) => `${i % 3 === 0 ? 'sub/' : ''}${i}.jpg`)

withBoth(
  'a job of a queue in a storage gives what a local job in folders gives, though a worker is killed',
  async (t) => {
    const bucket = await startStorage(t)
    const place = await queuePlace(t, names)
    await upload(join(place.folder, 'in'), new BucketFolder(`${bucket.url}in`))
    const [source, out] = [[`${bucket.url}in`], `${bucket.url}maps`]
    const { base } = await FileSource.open(source, { exclude: out })
    const spec = { ...place.spec, sources: source, base }
    const roots = ['--root', bucket.url]
    await using job = await enqueueJob(spec, { queue: place.server.url, out, source, chunk: 4 })
    const state = new BucketFolder(`${out}/.gradcam-queue`)
    const workers = [place.worker(roots), place.worker(roots)]
    const ended = job.result()
    ended.catch(() => {})
    for (let tries = 0; !(await namesIn(state)).some((name) => name.startsWith('journals/')); tries++) {
      if (tries > 3000) throw new Error('no chunk was begun')
      await sleep(20)
    }
    await workers[0]?.kill('SIGKILL')
    workers[0] = place.worker(roots)
    t.like(await ended, { explained: 16, failed: 0, files: 32 }, workers.map((worker) => worker.said()).join('\n'))
    for (const worker of workers) {
      await worker.kill('SIGTERM')
      t.false(worker.said().includes(secretKey))
    }
    t.deepEqual(
      (await namesIn(new BucketFolder(out))).filter((name) => !/\.(jpg|npy)$/.test(name)),
      ['job.json', 'manifest.jsonl'],
    )
    const copy = await copyOut(new BucketFolder(out), join(place.folder, 'copy'))
    const local = await localJob(place)
    assertSameResults(t, copy, local, [], { input: '', inputFile: null })
    const again = enqueueJob(spec, { queue: place.server.url, out, source })
    await t.throwsAsync(again, { code: 'ERR_JOB_EXISTS' })
  },
)

withBoth('a worker reads and writes only in the storages that it was started with', async (t) => {
  const bucket = await startStorage(t)
  const place = await queuePlace(t, ['1.jpg'])
  await upload(join(place.folder, 'in'), new BucketFolder(`${bucket.url}in`))
  const source = [`${bucket.url}in`]
  const { base } = await FileSource.open(source, { exclude: place.out })
  const spec = { ...place.spec, sources: source, base }
  const modelRoots = [dirname(sampleModel)]
  const result = async (root: string, out: string): Promise<unknown> => {
    const worker = await startWorker({ queue: place.server.url, roots: [root, place.folder], modelRoots, batchSize })
    try {
      await using job = await enqueueJob(spec, { queue: place.server.url, out, source, resume: true })
      return await job.result()
    } finally {
      await worker.close()
    }
  }
  const refused = { code: 'ERR_QUEUE_REFUSED', message: /outside the roots/ } as const
  await t.throwsAsync(result(`${bucket.url}other`, place.out), refused)
  await t.throwsAsync(result(`${bucket.url}in`, `${bucket.url}maps`), refused)
  t.like(await result(`${bucket.url}in`, place.out), { explained: 1 }, 'results on a disk, images in a storage')
  t.true(existsSync(join(place.out, '1.jpg.overlay.jpg')))
  const args = ['batch', ...source, ...common, '--out', `${bucket.url}by-command`, '--queue', place.server.url]
  const worker = place.worker(['--root', bucket.url])
  const { code, stdout, stderr } = runNode([main, ...args], {}, place.folder)
  t.is(code, 0, stderr + worker.said())
  t.regex(stdout, /1 image explained, 0 failed; 1 file in s3:/)
})
