import { existsSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { enqueueJob, FileSource, makeJobSpec, openJob, startWorker } from '../../lib/index.js'
import { toNpy } from '../../lib/batch/npy.js'
import { sampleModel } from '../support/batch.js'
import { runNode } from '../support/package-copy.js'
import { assertSameResults, batchSize, localJob, queuePlace } from '../support/queue-job.js'
import { withRedis } from '../support/queue-server.js'
import { unusualNets } from '../support/unusual-nets.js'
import { common, lines, main } from '../support/workplace.js'

const names = Array.from({ length: 20 }, (_, i) => `${i % 3 === 0 ? 'sub/' : ''}${i}.jpg`)

withRedis('a job of a queue gives the files and lines of a local job', async (t) => {
  const place = await queuePlace(t, [...names, 'broken.jpg'])
  const { server, folder, spec, out, source } = place
  writeFileSync(join(folder, 'in', 'broken.jpg'), 'not an image')
  const local = await localJob(place)
  const errors: string[] = []
  const worker = await startWorker({
    queue: server.url,
    roots: [folder],
    modelRoots: [dirname(sampleModel)],
    batchSize,
    onError: (error) => errors.push(error.message),
  })
  await using job = await enqueueJob(spec, { queue: server.url, out, source, chunk: 6 })
  const seen: number[] = []
  const summary = await job.result({
    onProgress: (progress) => {
      seen.push(progress.explained)
    },
  })
  t.like(summary, { explained: 20, failed: 1, inputs: 21, files: 40, before: 0, interrupted: false })
  t.deepEqual(summary.errors, { ERR_IMAGE_CORRUPT: 1 })
  t.is(seen.at(-1), 20)
  t.like(await job.status(), { state: 'done', out, progress: { inputs: 21, listed: true, chunks: 4, chunksDone: 4 } })
  await worker.close()
  assertSameResults(t, out, local)
  t.deepEqual(
    lines(out).map(({ id }) => id),
    [...lines(out)].map(({ id }) => id).sort(),
    'in the order of the folder',
  )
  t.false(existsSync(join(out, '.gradcam-queue')))
  t.deepEqual(errors, [])
  await t.throwsAsync(enqueueJob(spec, { queue: server.url, out, source }), { code: 'ERR_JOB_EXISTS' })
})

withRedis('a handle that is closed waits no longer, also for a server that is away', async (t) => {
  const place = await queuePlace(t, ['a.jpg'])
  const { server, spec, out, source } = place
  const first = await enqueueJob(spec, { queue: server.url, out, source })
  for (const isAway of [false, true]) {
    const job = isAway ? await openJob(first.name, { queue: server.url }) : first
    const ended = t.throwsAsync(job.result(), { code: 'ERR_CLOSED' })
    if (isAway) await server.stop()
    await new Promise((resolve) => setTimeout(resolve, 100))
    void job.close().catch(() => {})
    await ended
  }
})

withRedis('arrays in folders count where the model takes what images cannot hold, as for a local job', async (t) => {
  const place = await queuePlace(t, names.slice(0, 2))
  const { server, folder, out, source } = place
  const nets = await unusualNets('ways_in_nets.py')
  const { both } = nets.batch('scaled') // of 8 channels
  for (const image of [0, 1])
    writeFileSync(
      join(folder, 'in', 'sub', `${image}.npy`),
      toNpy(
        both
          .slice(0, image, image + 1)
          .clone()
          .toTypedArray() as Float32Array,
        [1, ...both.shape.slice(1)],
      ),
    )
  const { base } = await FileSource.open(source, { exclude: out })
  const file = nets.file('scaled')
  const spec = await makeJobSpec({ model: file, layer: 'stem', write: ['npy'], sources: source, base })
  const local = await localJob({ ...place, spec })
  const worker = await startWorker({ queue: server.url, roots: [folder], modelRoots: [dirname(file)], batchSize })
  await using job = await enqueueJob(spec, { queue: server.url, out, source })
  t.like(await job.result(), { explained: 2, failed: 2, inputs: 4 })
  await worker.close()
  assertSameResults(t, out, local)
})

withRedis('a job that was cancelled keeps what is done, and is continued without a queue', async (t) => {
  const place = await queuePlace(t, names)
  const { server, folder, spec, out, source } = place
  const local = await localJob(place)
  await using job = await enqueueJob(spec, { queue: server.url, out, source, chunk: 2 })
  t.like(await job.status(), { state: 'waiting', workers: 0, progress: null })
  const batch = ['batch', ...source, ...common, '--write', 'overlay,npy', '--batch', String(batchSize), '--out', out]
  const { code, stderr } = runNode([main, ...batch, '--resume'], {}, folder)
  t.is(code, 1)
  t.regex(stderr, /A job of a queue is at work/)

  const worker = await startWorker({
    queue: server.url,
    roots: [folder],
    modelRoots: [dirname(sampleModel)],
    batchSize,
    chunks: 1,
    onChunk: () => void job.cancel(),
  })
  const summary = await job.result()
  await worker.close()
  t.true(summary.interrupted)
  t.true(summary.inputs > 0 && summary.inputs < names.length, `${summary.inputs} inputs`)
  t.is(lines(out).length, summary.inputs)
  await using again = await openJob(job.name, { queue: server.url })
  t.is((await again.status()).state, 'cancelled')
  const ended = runNode([main, ...batch, '--resume'], {}, folder)
  t.is(ended.code, 0, ended.stderr)
  assertSameResults(t, out, local)
})

withRedis('the commands: a job that its command left is watched until its end', async (t) => {
  const place = await queuePlace(t, names)
  const { server, folder, out, source } = place
  const batch = [main, 'batch', ...source, ...common, '--write', 'overlay,npy', '--out', out, '--queue', server.url]
  const { spawn } = await import('node:child_process')
  const child = spawn(process.execPath, [...batch, '--chunk', '4'], { cwd: folder })
  let said = ''
  child.stdout.on('data', (data: Buffer) => {
    said += data.toString()
    if (said.includes('job cancel')) child.kill('SIGINT')
  })
  let warned = ''
  child.stderr.on('data', (data: Buffer) => (warned += data.toString()))
  t.is(await new Promise((resolve) => child.on('exit', resolve)), 130)
  const name = /gradcam job watch (\S+)/.exec(warned)?.[1] as string
  t.regex(warned, /the job goes on without this command/)

  const job = (verb: string): ReturnType<typeof runNode> => runNode([main, 'job', verb, name, '--queue', server.url])
  t.regex(job('status').stdout, /: waiting; 0 connected workers/)
  const worker = place.worker()
  const watched = job('watch')
  t.is(watched.code, 0, watched.stderr + worker.said())
  t.regex(watched.stdout, /20 images explained, 0 failed; 40 files in /)
  t.regex(job('status').stdout, /: done; 20 of 20 explained, 0 failed, 5 of 5 chunks done; 1 connected worker$/m)
  await worker.kill('SIGTERM')
  t.is(worker.child.exitCode, 0)
  t.regex(worker.said(), /: chunk 0 done, 4 inputs, [\d.]+ s$/m)
  assertSameResults(t, out, await localJob(place))
  t.regex(runNode([main, 'job', 'status', 'other', '--queue', server.url]).stderr, /has no job 'other'/)
  t.is(runNode([...batch, '--device', 'cpu']).code, 2)
})

withRedis('gradcam job cancel answers where the job stands after it, as text and as JSON', async (t) => {
  const { server, spec, out, source } = await queuePlace(t, ['a.jpg'])
  await using job = await enqueueJob(spec, { queue: server.url, out, source })
  const cancel = [main, 'job', 'cancel', job.name, '--queue', server.url]
  const { code, stdout, stderr } = runNode([...cancel, '--json'])
  t.is(code, 0, stderr)
  t.like(JSON.parse(stdout), { name: job.name, state: 'cancelling' })
  t.regex(runNode(cancel).stdout, /: cancelling; 0 connected workers$/m)
})
