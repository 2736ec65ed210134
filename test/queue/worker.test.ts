import test from 'ava'
import { Queue, type Job } from 'bullmq'
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { enqueueJob, FileSource, makeJobSpec, startWorker, type JobSpec } from '../../lib/index.js'
import { readAhead } from '../../lib/queue/read-ahead.js'
import { runNode, temporaryFolder } from '../support/package-copy.js'
import { startRedis, withRedis, type TestServer } from '../support/queue-server.js'
import { stubExplainer } from '../support/stub-explainer.js'
import { lines, main } from '../support/workplace.js'

interface Place {
  readonly folder: string
  readonly out: string
  readonly redis: TestServer
  readonly spec: JobSpec
  readonly source: readonly string[]
}

async function placeOf(t: Parameters<Parameters<typeof withRedis>[1]>[0], images: number): Promise<Place> {
  const folder = temporaryFolder(t)
  const redis = await startRedis(temporaryFolder(t))
  t.teardown(redis.stop)
  const out = join(folder, 'out')
  const source = [join(folder, 'in')]
  mkdirSync(join(folder, 'in'))
  for (let i = 0; i < images; i++) writeFileSync(join(folder, 'in', `${i}.jpg`), '')
  writeFileSync(join(folder, 'model.pt'), 'not loaded')
  const { base } = await FileSource.open(source, { exclude: out })
  const spec = await makeJobSpec({ model: join(folder, 'model.pt'), layer: 'features', sources: source, base })
  return { folder, out, redis, spec, source }
}

withRedis('metrics of a worker say what it did', async (t) => {
  const { folder, out, redis, spec, source } = await placeOf(t, 10)
  const worker = await startWorker({
    queue: redis.url,
    roots: [folder],
    explainer: stubExplainer,
    metrics: { port: 0 },
  })
  const address = `http://127.0.0.1:${worker.metricsPort}`
  await using job = await enqueueJob(spec, { queue: redis.url, out, source, chunk: 4 })
  t.like(await job.result(), { failed: 10 })
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${address}/metrics`)).text()
    return Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.slice(name.length + 1),
    )
  }
  // The last chunk is told of after the job has ended.
  for (let tries = 0; (await metric('gradcam_worker_chunks_total{state="done"}')) < 3 && tries < 100; tries++);
  for (const [name, value] of [
    ['gradcam_worker_chunks_total{state="done"}', 3],
    ['gradcam_worker_images_total{result="failed"}', 10],
    ['gradcam_worker_errors_total{code="ERR_IMAGE_CORRUPT"}', 10],
    ['gradcam_worker_stage_seconds_count{stage="record"}', 10],
    ['gradcam_worker_stage_seconds_count{stage="publish"}', 3],
    ['gradcam_worker_chunk_seconds_count', 3],
    ['gradcam_worker_queue_wait_seconds_count', 3],
    ['gradcam_queue_waiting_chunks', 0],
  ] as const)
    t.is(await metric(name), value, name)
  t.true((await metric('process_resident_memory_bytes')) > 1e7)
  t.is((await fetch(`${address}/other`)).status, 404)
  t.is((await fetch(`${address}/metrics`, { method: 'POST' })).status, 405)
  const port = worker.metricsPort as number
  await t.throwsAsync(startWorker({ queue: redis.url, roots: [folder], explainer: stubExplainer, metrics: { port } }), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /Metrics cannot be offered at 127\.0\.0\.1:\d+: .*EADDRINUSE/,
  })
  await worker.close()
  await t.throwsAsync(fetch(`${address}/metrics`))
})

withRedis('a job of another version is refused, or explained and recorded, as told', async (t) => {
  const { folder, out, redis, spec, source } = await placeOf(t, 3)
  const { hostname: host, port } = new URL(redis.url)
  const jobs = new Queue('gradcam-jobs', { connection: { host, port: Number(port) } })
  t.teardown(() => jobs.close())
  const result = async (
    versions: Readonly<Record<string, unknown>> | undefined,
    otherVersions: 'refuse' | 'record',
  ): Promise<unknown> => {
    await using job = await enqueueJob(spec, { queue: redis.url, out, source, resume: true, retryFailed: true })
    const task = await jobs.getJob(job.name)
    const { versions: own, ...data } = (task as Job).data as Record<string, unknown>
    t.regex(JSON.stringify(own), /"package":"\d+\.\d+\.\d+","libtorch":"\d+\.\d+\.\d+"/)
    const changed = versions && { versions: { ...(own as object), ...versions } }
    await task?.updateData({ ...data, ...changed })
    const worker = await startWorker({ queue: redis.url, roots: [folder], explainer: stubExplainer, otherVersions })
    try {
      return await job.result()
    } finally {
      await worker.close()
    }
  }
  const refused = { code: 'ERR_QUEUE_REFUSED' } as const
  await t.throwsAsync(result({ package: '9.8.7' }, 'refuse'), {
    ...refused,
    message: /enqueued with version 9\.8\.7 of this package and LibTorch .*, and this worker runs version/,
  })
  await t.throwsAsync(result({ libtorch: '1.2.3' }, 'refuse'), { ...refused, message: /and LibTorch 1\.2\.3, and/ })
  await t.throwsAsync(result({ libtorch: 7 }, 'record'), { ...refused, message: /`versions` is malformed/ })
  t.like(await result({ libtorch: '1.2.3' }, 'record'), { failed: 3 })
  for (const line of lines(out)) t.regex(line.versions?.libtorch ?? '', /^(?!1\.2\.3)\d+\.\d+\.\d+$/)
  for (const same of [{}, { libtorch: null }, undefined]) {
    t.like(await result(same, 'refuse'), { failed: 3 })
    for (const line of lines(out)) t.is(line.versions, undefined)
  }
})

test('what is missing is named, with what to install', (t) => {
  const folder = temporaryFolder(t)
  const blocked = join(folder, 'blocked.mjs')
  writeFileSync(
    blocked,
    `import { register } from 'node:module'
     register('data:text/javascript,' + encodeURIComponent(\`export const resolve = (name, context, next) => {
       if (name === '\${process.env.BLOCKED}') throw new Error("Cannot find package '" + name + "'")
       return next(name, context)
     }\`))`,
  )
  const images = ['--model', 'no.pt', '--out', join(folder, 'out')]
  const worker = ['worker', '--root', folder, '--queue']
  for (const [name, args, install] of [
    ['bullmq', [...worker, 'redis://127.0.0.1:1'], 'npm install bullmq@6 ioredis@5'],
    ['ioredis', [...worker, 'redis://127.0.0.1:1'], 'npm install bullmq@6 ioredis@5'],
    ['pg', [...worker, 'postgres://127.0.0.1:1/x'], 'npm install bullmq@6 pg@8'],
    ['prom-client', [...worker, 'redis://127.0.0.1:1', '--metrics-port', '0'], 'npm install prom-client@15'],
    ['@aws-sdk/client-s3', ['batch', 's3://bucket/in', ...images], 'npm install @aws-sdk/client-s3@3'],
  ] as const) {
    const options = { NODE_OPTIONS: `--import ${blocked}`, BLOCKED: name }
    const { code, stderr } = runNode([main, ...args], options)
    t.is(code, 1, stderr)
    t.true(stderr.includes(`Cannot find package '${name}'`), stderr)
    t.true(stderr.includes(install), stderr)
  }
})

withRedis('a queue over TLS, whose password is never said', async (t) => {
  const folder = temporaryFolder(t)
  const [certificate, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1']
  const made = spawnSync('openssl', [
    ...[...request, '-addext', 'subjectAltName=IP:127.0.0.1'],
    ...['-keyout', key, '-out', certificate],
  ])
  t.is(made.status, 0, String(made.stderr))
  const password = 'tls:se/cret@1'
  const redis = await startRedis(folder, password, { certificate, key })
  t.teardown(redis.stop)
  t.regex(redis.url, /^rediss:/)
  const status = (env: NodeJS.ProcessEnv, url = redis.url): string => {
    const { stdout, stderr } = runNode([main, 'job', 'status', 'j', '--queue', url], env)
    for (const secret of [password, encodeURIComponent(password)]) t.false((stdout + stderr).includes(secret))
    return stderr
  }
  t.regex(status({ NODE_EXTRA_CA_CERTS: certificate }), /The queue at rediss:\/\/127\.0\.0\.1:\d+ has no job 'j'/)
  t.regex(status({}), /cannot be used: self-signed certificate/)
  const bare = `rediss://127.0.0.1:${redis.port}`
  t.regex(status({ NODE_EXTRA_CA_CERTS: certificate, GRADCAM_QUEUE_PASSWORD: password }, bare), /has no job 'j'/)
})

test('what is read ahead comes in its order, and errors come where it would', async (t) => {
  const read: string[] = []
  const make = (item: number) => async (): Promise<number> => {
    read.push(`${item} begun`)
    await new Promise((resolve) => setTimeout(resolve, 10 - item))
    if (item === 6) throw new Error('the sixth')
    return item
  }
  const found: number[] = []
  const error = await t.throwsAsync(async () => {
    for await (const one of readAhead([1, 2, 3, 4, 5, 6, 7, 8].map(make), 3)) found.push(one)
  })
  t.is(error?.message, 'the sixth')
  t.deepEqual(found, [1, 2, 3, 4, 5])
  t.deepEqual(read.length, 8, 'three at a time, of which the sixth was the first')
})
