import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { enqueueJob, FileSource, makeJobSpec, startWorker } from '../../lib/index.js'
import { BucketFolder } from '../../lib/storage/bucket-folder.js'
import { fetchObject } from '../../lib/storage/object-file.js'
import { sampleModel, writeJpegs } from '../support/batch.js'
import { batchSize, queuePlace } from '../support/queue-job.js'
import { hasRedis, withRedis } from '../support/queue-server.js'
import { runNode, temporaryFolder } from '../support/package-copy.js'
import { startStorage, withStorage } from '../support/storage-server.js'
import { lines, main } from '../support/workplace.js'

/** Skipped, and noted, where either is not there. */
const withBoth = hasRedis ? withStorage : withRedis

withStorage(
  'an object is fetched once, again where it has changed, and again where the copy was damaged',
  async (t) => {
    const bucket = await startStorage(t)
    const cache = join(temporaryFolder(t), 'cache')
    const url = `${bucket.url}models/net.pt`
    t.is(await fetchObject(url, cache), null)
    await bucket.put('models/net.pt', 'the first')

    // Several at once, as the replicas of a worker: one copy.
    const found = await Promise.all(Array.from({ length: 4 }, () => fetchObject(url, cache)))
    const [first] = found
    t.is(new Set(found.map((one) => one?.path)).size, 1)
    t.is(readdirSync(cache).length, 1, 'nothing else is left')
    const path = first?.path ?? ''
    t.is(basename(path), 'net.pt')
    t.is(readFileSync(path, 'utf8'), 'the first')
    const { ino } = statSync(path)
    t.deepEqual(await fetchObject(url, cache), first)
    t.is(statSync(path).ino, ino, 'not written again')

    writeFileSync(path, 'damaged!!')
    t.deepEqual(await fetchObject(url, cache), first)
    t.is(readFileSync(path, 'utf8'), 'the first')

    await bucket.put('models/net.pt', 'the second')
    const second = await fetchObject(url, cache)
    t.not(second?.sha256, first?.sha256)
    t.is(readFileSync(second?.path ?? '', 'utf8'), 'the second')
    await bucket.remove(['models/net.pt'])
    t.is(await fetchObject(url, cache), null, 'a copy is not taken for an object that is gone')
  },
)

withStorage('commands take a model of a storage', async (t) => {
  const bucket = await startStorage(t)
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), ['1.jpg', '2.jpg'])
  await bucket.put('animals.pt', readFileSync(sampleModel))
  const env = { GRADCAM_CACHE: join(folder, 'cache') }
  const gradcam = (...args: readonly string[]) => runNode([main, ...args], env, folder)
  const told = (out: string) => lines(join(folder, out)).map((line) => JSON.stringify({ ...line, milliseconds: 0 }))
  const common = ['batch', 'in', '--layer', 'features', '--out']
  const remote = gradcam(...common, 'remote', '--model', `${bucket.url}animals.pt`)
  t.is(remote.code, 0, remote.stderr)
  t.is(gradcam(...common, 'local', '--model', sampleModel).code, 0)
  t.deepEqual(told('remote').sort(), told('local').sort())
  const spec = JSON.parse(readFileSync(join(folder, 'remote', 'job.json'), 'utf8'))
  t.is((spec.spec ?? spec).model.path, `${bucket.url}animals.pt`)
  const layersOf = (model: string) => JSON.parse(gradcam('layers', model, '--size', '224x224', '--json').stdout)
  t.deepEqual(layersOf(`${bucket.url}animals.pt`), { ...layersOf(sampleModel), file: `${bucket.url}animals.pt` })
  t.regex(gradcam('cache').stdout, /^model +\d.* MB .*cache.models/m)
  t.is(readdirSync(join(folder, 'cache', 'models')).length, 1)
  t.regex(gradcam('cache', 'clean').stdout, /Removed 1/)
  t.deepEqual(readdirSync(join(folder, 'cache', 'models')), [])

  const missing = gradcam(...common, 'none', '--model', `${bucket.url}no.pt`)
  t.is(missing.code, 1)
  t.regex(missing.stderr, /The model 's3:\/\/.*no\.pt' does not exist/)
  const elsewhere = gradcam(...common, 'none', '--model', `${bucket.url}animals.pt`, '--model-cache', sampleModel)
  t.is(elsewhere.code, 1)
  t.regex(elsewhere.stderr, /cannot be kept in .*\.pt \(E\w+\)\. Name a folder/)
})

withBoth('a worker takes the model of a storage, if that is the one of the job and lies in a root', async (t) => {
  const bucket = await startStorage(t)
  const place = await queuePlace(t, ['1.jpg', '2.jpg'])
  const url = `${bucket.url}models/animals.pt`
  const object = new BucketFolder(`${bucket.url}models`)
  await object.put('animals.pt', readFileSync(sampleModel))
  const modelCache = join(place.folder, 'cache')
  const sources = [join(place.folder, 'in')]
  const { base } = await FileSource.open(sources, { exclude: place.out })
  const { method, layer, target, preprocess, write, labels } = place.spec
  const described = { method, layer, target, preprocess, write, labels, sources, base }
  const spec = await makeJobSpec({ ...described, model: url, modelCache })
  t.is(spec.model.sha256, place.spec.model.sha256)
  const result = async (modelRoot: string): Promise<unknown> => {
    const folders = { roots: [place.folder], modelRoots: [modelRoot], modelCache }
    const worker = await startWorker({ queue: place.server.url, ...folders, batchSize })
    try {
      await using job = await enqueueJob(spec, {
        queue: place.server.url,
        out: place.out,
        source: sources,
        resume: true,
      })
      return await job.result()
    } finally {
      await worker.close()
    }
  }
  await t.throwsAsync(result(dirname(sampleModel)), { code: 'ERR_QUEUE_REFUSED', message: /outside the model roots/ })
  await object.put('animals.pt', 'another file')
  await t.throwsAsync(result(bucket.url), { code: 'ERR_QUEUE_REFUSED', message: /is not the file of the job/ })
  await object.put('animals.pt', readFileSync(sampleModel))
  t.like(await result(bucket.url), { explained: 2, failed: 0 })
})
