import test, { type ExecutionContext } from 'ava'
import { Queue } from 'bullmq'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  enqueueJob,
  FileSource,
  makeJobSpec,
  startWorker,
  type JobSpec,
  type QueueWorker,
  type QueueWorkerOptions,
} from '../../lib/index.js'
import { runNode, temporaryFolder } from '../support/package-copy.js'
import { startRedis, withRedis, type TestServer } from '../support/queue-server.js'
import { stubExplainer } from '../support/stub-explainer.js'
import { common, lines, main } from '../support/workplace.js'

interface Place {
  readonly folder: string
  readonly out: string
  readonly redis: TestServer
  readonly specOf: (source: readonly string[]) => Promise<JobSpec>
  readonly work: (options?: Partial<QueueWorkerOptions>) => Promise<QueueWorker>
}

async function placeOf(t: ExecutionContext): Promise<Place> {
  const folder = temporaryFolder(t)
  const redis = await startRedis(temporaryFolder(t))
  t.teardown(redis.stop)
  const out = join(folder, 'out')
  writeFileSync(join(folder, 'model.pt'), 'not loaded')
  return {
    folder,
    out,
    redis,
    specOf: async (source) => {
      const { base } = await FileSource.open(source, { exclude: out })
      return makeJobSpec({ model: join(folder, 'model.pt'), layer: 'features', sources: source, base })
    },
    work: async (options) => {
      const worker = await startWorker({
        queue: redis.url,
        roots: [folder],
        explainer: stubExplainer,
        lockSeconds: 1,
        ...options,
      })
      t.teardown(() => worker.close())
      return worker
    },
  }
}

withRedis('an input outside the roots fails, also one that a link leads to', async (t) => {
  const { folder, out, redis, specOf, work } = await placeOf(t)
  const elsewhere = temporaryFolder(t)
  writeFileSync(join(elsewhere, 'secret.jpg'), '')
  mkdirSync(join(folder, 'in'))
  writeFileSync(join(folder, 'in', 'a.jpg'), '')
  symlinkSync(join(elsewhere, 'secret.jpg'), join(folder, 'in', 'link.jpg'))
  const list = join(folder, 'list.txt')
  writeFileSync(list, ['in/a.jpg', 'in/link.jpg', '/etc/hostname', 'in/../../../etc/passwd'].join('\n'))
  const folderBefore = process.cwd()
  t.truthy(folderBefore)
  const source = [list]
  const spec = await specOf(source)
  await work()
  await using job = await enqueueJob(spec, { queue: redis.url, out, source })
  t.like(await job.result(), { explained: 0, failed: 4 })
  const codes = lines(out).map((line) => ('error' in line ? line.error.code : null))
  t.is(codes.filter((code) => code === 'ERR_QUEUE_REFUSED').length, 4, 'the relative ones start at the current folder')
  await using other = await enqueueJob(await specOf([join(folder, 'in')]), {
    queue: redis.url,
    out: join(folder, 'other'),
    source: [join(folder, 'in')],
  })
  t.deepEqual((await other.result()).errors, { ERR_IMAGE_CORRUPT: 1, ERR_QUEUE_REFUSED: 1 })
})

withRedis('what a worker may not use ends the job with an error', async (t) => {
  const { folder, out, redis, specOf, work } = await placeOf(t)
  mkdirSync(join(folder, 'in'))
  writeFileSync(join(folder, 'in', 'a.jpg'), '')
  const source = [join(folder, 'in')]
  const spec = await specOf(source)
  const result = async (options: Partial<QueueWorkerOptions>): Promise<unknown> => {
    const worker = await work(options)
    try {
      await using job = await enqueueJob(spec, { queue: redis.url, out, source, resume: true })
      return await job.result()
    } finally {
      await worker.close()
    }
  }
  mkdirSync(join(folder, 'models'))
  const refused = { code: 'ERR_QUEUE_REFUSED' } as const
  await t.throwsAsync(result({ modelRoots: [join(folder, 'models')] }), {
    ...refused,
    message: /outside the model roots/,
  })
  await t.throwsAsync(result({ roots: [join(folder, 'in')] }), { ...refused, message: /outside the roots/ })
  await t.throwsAsync(result({ roots: [join(folder, 'models')] }), { ...refused, message: /outside the roots/ })
  writeFileSync(join(folder, 'model.pt'), 'another one')
  await t.throwsAsync(result({}), { ...refused, message: /is not the file of the job/ })
  writeFileSync(join(folder, 'model.pt'), 'not loaded')
  t.like(await result({}), { failed: 1 }, 'and it is resumed where that is put right')
})

withRedis('tasks that are malformed are refused, and nothing is written', async (t) => {
  const { folder, redis, work } = await placeOf(t)
  const { hostname: host, port } = new URL(redis.url)
  const queue = new Queue('gradcam-chunks', { connection: { host, port: Number(port) } })
  t.teardown(() => queue.close())
  await work()
  const good = {
    version: 1,
    job: 'j',
    out: folder,
    spec: '0'.repeat(64),
    chunk: 0,
    inputs: [{ id: 'a.jpg', input: join(folder, 'a.jpg') }],
  }
  const bad: readonly [unknown, RegExp][] = [
    [null, /ERR_QUEUE_REFUSED/],
    [{ ...good, version: 2 }, /has the version 2/],
    [{ ...good, out: 7 }, /`out` must be/],
    [{ ...good, out: '/etc' }, /outside the roots/],
    [{ ...good, out: `${folder}/../..` }, /outside the roots/],
    [{ ...good, spec: 'x' }, /not a SHA-256/],
    [{ ...good, job: '../x' }, /not the name of a job/],
    [{ ...good, chunk: -1 }, /`chunk` must be/],
    [{ ...good, inputs: [] }, /it has 0 inputs/],
    [{ ...good, inputs: [...good.inputs, ...good.inputs] }, /the same id/],
    [{ ...good, inputs: [{ id: '../a', input: '/a' }] }, /inputs with `id` and `input`/],
    [{ ...good, inputs: [{ id: 'a', input: '/a', target: { kind: 'other' } }] }, /refused/],
    [{ ...good, inputs: [{ id: 'a', input: '/a', error: { code: 'ERR_NONE', message: '' } }] }, /inputs with/],
  ]
  for (const [data, reason] of bad) {
    const job = await queue.add('chunk', data)
    for (let tries = 0; (await job.getState()) !== 'failed'; tries++) {
      if (tries > 200) throw new Error(`${JSON.stringify(data)} was not refused`)
      await sleep(20)
    }
    t.regex((await queue.getJob(job.id as string))?.failedReason ?? '', reason)
  }
})

withRedis('passwords are used and never said', async (t) => {
  const folder = temporaryFolder(t)
  const password = 'se:cr/et@1'
  const redis = await startRedis(temporaryFolder(t), password)
  t.teardown(redis.stop)
  const errors: string[] = []
  const worker = await startWorker({
    queue: redis.url,
    graceSeconds: 2,
    roots: [folder],
    onError: (error) => errors.push(String(error.stack)),
  })
  await redis.stop()
  await sleep(300)
  t.true(errors.length > 0)
  const hides = (text: string): void => {
    for (const secret of [password, encodeURIComponent(password)]) t.false(text.includes(secret), text)
  }
  await redis.restart()
  await worker.close()
  for (const text of errors) hides(text)
  const wrong = redis.url.replace(encodeURIComponent(password), 'wrong-secret')
  const error = await t.throwsAsync(startWorker({ queue: wrong, roots: [folder] }), { code: 'ERR_QUEUE' })
  t.false(`${error?.stack} ${JSON.stringify(error)}`.includes('wrong-secret'))
  const invalidUrl = await t.throwsAsync(startWorker({ queue: `http://x:${password}@h`, roots: [folder] }))
  hides(String(invalidUrl?.stack))
  const bare = `redis://127.0.0.1:${redis.port}`
  const status = runNode([main, 'job', 'status', 'j', '--queue', bare], { GRADCAM_QUEUE_PASSWORD: password })
  t.regex(status.stderr, /has no job 'j'/)
  hides(status.stderr + status.stdout)
})

/** 100000 and more by hand: GRADCAM_QUEUE_INPUTS. */
const inputs = Number(process.env['GRADCAM_QUEUE_INPUTS'] ?? 4_000)

withRedis(`${inputs} inputs: few wait in the queue at a time, and it stays small`, async (t) => {
  const { folder, out, redis, specOf, work } = await placeOf(t)
  const list = join(folder, 'list.txt')
  writeFileSync(list, Array.from({ length: inputs }, (_, i) => join(folder, 'in', `${i}.jpg`)).join('\n'))
  const source = [list]
  const spec = await specOf(source)
  const { hostname: host, port } = new URL(redis.url)
  const queue = new Queue('gradcam-chunks', { connection: { host, port: Number(port) } })
  t.teardown(() => queue.close())
  const began = performance.now()
  await using job = await enqueueJob(spec, { queue: redis.url, out, source })
  const enqueued = performance.now() - began
  const before = process.memoryUsage().rss
  await work({ maxWaiting: 16, chunks: 4, lockSeconds: 30 })
  let ended = false
  const result = job.result().finally(() => (ended = true))
  let [waiting, used, resident] = [0, 0, 0]
  while (!ended) {
    waiting = Math.max(waiting, await queue.getWaitingCount())
    used = Math.max(used, await usedMemory(redis.port))
    resident = Math.max(resident, process.memoryUsage().rss)
    await sleep(20)
  }
  const summary = await result
  t.is(summary.failed, inputs)
  t.is(lines(out).length, inputs)
  const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MB`
  t.log(
    `enqueued in ${enqueued.toFixed(0)} ms; ${(inputs / summary.seconds).toFixed(0)} inputs/s; at most ${waiting} chunks waited; ` +
      `Redis ${megabytes(used)}; this process grew by ${megabytes(resident - before)}`,
  )
  t.true(waiting > 0 && waiting <= 17, `${waiting} chunks waited`)
  t.true(used < 12 * 2 ** 20, megabytes(used))
})

/** What Redis says that it uses, in bytes. */
function usedMemory(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('error', reject)
    socket.on('data', (data: Buffer) => {
      text += data.toString()
      const found = /used_memory:(\d+)/.exec(text)?.[1]
      if (found === undefined) return
      socket.destroy()
      resolve(Number(found))
    })
    socket.write('INFO memory\r\n')
  })
}

test('a wrong call of batch and worker says what is wrong', (t) => {
  const batch = ['batch', 'in', ...common, '--out', 'out']
  for (const [args, reason] of [
    [[...batch, '--queue', 'http://host'], /--queue requires an address such as/],
    [[...batch, '--queue', 'redis://host', '--device', 'cpu'], /--device is an option of gradcam worker/],
    [[...batch, '--chunk', '4'], /--chunk requires --queue/],
    [['worker', '--root', '.'], /worker requires --queue/],
    [['worker', '--queue', 'redis://host'], /worker requires --root/],
    [['job', 'end', 'x'], /job requires status, watch or cancel/],
  ] as const) {
    const { code, stderr } = runNode([main, ...args])
    t.is(code, 2, args.join(' '))
    t.regex(stderr, reason)
  }
})
