import type { ExecutionContext } from 'ava'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  enqueueJob,
  FileSource,
  FolderSink,
  FolderStore,
  makeJobSpec,
  ModelExplainer,
  runJob,
  startWorker,
} from '../../lib/index.js'
import type { JobSpec } from '../../lib/jobs/job-spec.js'
import { sampleModel, writeJpegs } from '../support/batch.js'
import { temporaryFolder } from '../support/package-copy.js'
import { startRedis, withRedis } from '../support/queue-server.js'
import { lines } from '../support/workplace.js'

async function specOf(folder: string): Promise<JobSpec> {
  const source = await FileSource.open([join(folder, 'in')], { exclude: join(folder, 'out') })
  return makeJobSpec({
    model: sampleModel,
    layer: 'features',
    write: ['overlay', 'npy'],
    sources: [join(folder, 'in')],
    base: source.base,
  })
}

async function localJob(folder: string, spec: JobSpec, batchSize: number): Promise<void> {
  const out = join(folder, 'local')
  const source = await FileSource.open([join(folder, 'in')], { exclude: out })
  await runJob(spec, {
    source,
    store: new FolderStore(out),
    sink: new FolderSink(out),
    explainer: new ModelExplainer({ batchSize }),
  })
}

/** Every file of two folders of results is the same, and so is every line but for its time. */
function assertSame(t: ExecutionContext, a: string, b: string): void {
  const files = (folder: string): string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(jpg|npy)$/.test(name))
      .sort()
  t.deepEqual(files(a), files(b))
  for (const file of files(a)) t.true(readFileSync(join(a, file)).equals(readFileSync(join(b, file))), file)
  const sorted = (folder: string): unknown[] =>
    lines(folder)
      .map((line) => ('error' in line ? line : { ...line, milliseconds: 0 }))
      .sort((x, y) => (x.id < y.id ? -1 : 1))
  t.deepEqual(sorted(a), sorted(b))
}

withRedis('a job of a queue gives the files and lines of a local job', async (t) => {
  const folder = temporaryFolder(t)
  const names = Array.from({ length: 20 }, (_, i) => `${i % 3 === 0 ? 'sub/' : ''}${i}.jpg`)
  await writeJpegs(join(folder, 'in'), names)
  const redis = await startRedis(temporaryFolder(t))
  t.teardown(redis.stop)
  const spec = await specOf(folder)
  await localJob(folder, spec, 4)
  const out = join(folder, 'out')
  const worker = await startWorker({
    queue: redis.url,
    roots: [folder],
    modelRoots: [join(sampleModel, '..')],
    batchSize: 4,
    onError: (error) => t.log(error.message),
  })
  const job = await enqueueJob(spec, { queue: redis.url, out, source: [join(folder, 'in')], chunk: 6 })
  const seen: number[] = []
  job.on('progress', ({ explained }) => seen.push(explained))
  const summary = await job.result()
  t.is(summary.explained, 20)
  t.is(summary.files, 40)
  await job.close()
  await worker.close()
  assertSame(t, join(folder, 'local'), out)
  t.false(existsSync(join(out, '.gradcam-queue')))
})
