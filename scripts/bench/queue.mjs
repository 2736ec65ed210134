// What a queue costs on one machine: the rate of two workers of one thread each beside that of a job of one process with two
// replicas, what a chunk costs besides its images, and how long it takes until the chunk of a worker that was killed is begun again.
//
//   npm run build && node scripts/bench/queue.mjs [--images 384] [--rounds 3] [--lock 30] [--out scripts/queue/measured.json]
//
// It prints JSON; its `times` are what scripts/queue/simulate.mjs takes.
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { enqueueJob, FileSource, makeJobSpec } from 'libtorch-gradcam'
import { packageRoot, readBuildInfo } from '#internal'
import { sampleModel, writeJpegs } from '#test-support/batch.js'
import { startRedis } from '#test-support/start-queue-server.js'
import { askRedis, startStub, stubInputs } from '../queue/stub-job.mjs'
import { machine } from './machine.mjs'
import { median } from './statistics.mjs'

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '384' },
    rounds: { type: 'string', default: '3' },
    lock: { type: 'string', default: '30' },
    out: { type: 'string' },
  },
})
const [images, rounds] = [Number(values.images), Number(values.rounds)]
const batchSize = 8
const chunk = 64
const folder = mkdtempSync(join(tmpdir(), 'gradcam-bench-queue-'))
const redis = await startRedis(mkdtempSync(join(folder, 'redis-')))
/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set()

/** Starts `gradcam worker` with one thread, and waits until it works. */
async function startWorkerProcess(/** @type {readonly string[]} */ args = []) {
  const main = join(packageRoot, 'dist', 'lib', 'cli', 'main.js')
  const all = ['worker', '--queue', redis.url, '--root', folder, '--model-root', dirname(sampleModel)]
  const child = spawn(process.execPath, [main, ...all, '--batch', String(batchSize), ...args], {
    env: { ...process.env, OMP_NUM_THREADS: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.add(child)
  await once(child.stdout, 'data')
  return child
}

/** A job of images, in the form that both kinds of runs take. */
async function imageJob() {
  const source = [join(folder, 'images')]
  await writeJpegs(
    join(folder, 'images'),
    Array.from({ length: images }, (_, i) => `${i}.jpg`),
  )
  const { base } = await FileSource.open(source, { exclude: join(folder, 'out') })
  return { source, spec: await makeJobSpec({ model: sampleModel, layer: 'features', sources: source, base }) }
}

let outs = 0
const newOut = () => join(folder, `out-${outs++}`)

/** In seconds, from the call to the merged manifest. */
async function queued(/** @type {{ spec: any, source: string[] }} */ { spec, source }, size = chunk) {
  const began = performance.now()
  const job = await enqueueJob(spec, { queue: redis.url, out: newOut(), source, chunk: size })
  await job.result()
  const seconds = (performance.now() - began) / 1000
  await job.close()
  return seconds
}

async function localRun(/** @type {{ spec: any, source: string[] }} */ job) {
  const child = fork(join(import.meta.dirname, 'workers', 'local-job.mjs'), {
    env: { ...process.env, OMP_NUM_THREADS: '1' },
  })
  children.add(child)
  child.send({ ...job, out: newOut(), batchSize })
  const [seconds] = await once(child, 'message')
  return Number(seconds)
}

/** Two workers beside one process: in turn, so that what slows the machine slows both. */
async function compareRates() {
  const job = await imageJob()
  const workers = [await startWorkerProcess(), await startWorkerProcess()]
  await queued(job) // loads the model
  const [local, queue] = [/** @type {number[]} */ ([]), /** @type {number[]} */ ([])]
  for (let round = 0; round < rounds; round++) {
    local.push(await localRun(job))
    queue.push(await queued(job))
  }
  for (const worker of workers) worker.kill('SIGTERM')
  await Promise.all(workers.map((worker) => once(worker, 'exit')))
  return { local, queue, share: median(local.map((seconds, round) => seconds / (queue[round] ?? NaN))) }
}

/** Chunks of one input each, beside the same inputs in few chunks, with a stub that takes no time. */
async function chunkOverhead() {
  const count = 1000
  const job = await stubInputs(join(folder, 'stub'), count)
  const worker = await startStub(redis.url, folder, 1)
  children.add(worker)
  await queued(job, count)
  const servers = async () =>
    (await askRedis(redis.port, 'used_cpu_user')) + (await askRedis(redis.port, 'used_cpu_sys'))
  const many = []
  const few = []
  const served = []
  for (let round = 0; round < rounds; round++) {
    few.push(await queued(job, count))
    const before = await servers()
    many.push(await queued(job, 1))
    served.push((await servers()) - before)
  }
  worker.kill('SIGKILL')
  const perChunk = (median(many) - median(few)) / (count - 1)
  return { perChunk, serverPerChunk: median(served) / count }
}

/** From the death of a worker until another has recorded something of its chunk. */
async function recovery(/** @type {string} */ lock) {
  const job = await imageJob()
  const args = ['--lock', lock, '--chunks', '1']
  const workers = [await startWorkerProcess(args), await startWorkerProcess(args)]
  await queued(job)
  const out = newOut()
  const journals = join(out, '.gradcam-queue', 'journals')
  const handle = await enqueueJob(job.spec, { queue: redis.url, out, source: job.source, chunk: images })
  /** The attempts that have recorded something. */
  const attempts = () => {
    try {
      return readdirSync(journals).filter((name) => readFileSync(join(journals, name)).length > 0).length
    } catch {
      return 0
    }
  }
  while (attempts() < 1) await sleep(5)
  // Which of them has it is not told: the one that uses the processor.
  const used = () => workers.map(({ pid }) => Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[13]))
  const before = used()
  await sleep(300)
  const [first = 0, second = 0] = used().map((now, i) => now - (before[i] ?? 0))
  workers[first > second ? 0 : 1]?.kill('SIGKILL')
  const died = performance.now()
  while (attempts() < 2) await sleep(10)
  const seconds = (performance.now() - died) / 1000
  await handle.result()
  await handle.close()
  for (const worker of workers) worker.kill('SIGKILL')
  return seconds
}

try {
  const rates = await compareRates()
  const overhead = await chunkOverhead()
  const recovered = await recovery(values.lock)
  const info = readBuildInfo()
  const result = {
    machine:
      info && machine(/** @type {import('./types.d.mts').LibTorch} */ (info.libtorch), { threads: 1, device: 'cpu' }),
    images,
    chunk,
    batchSize,
    localSeconds: rates.local,
    queueSeconds: rates.queue,
    share: rates.share,
    chunkOverheadMs: overhead.perChunk * 1000,
    lock: Number(values.lock),
    recoverySeconds: recovered,
    times: {
      image: (2 * median(rates.local)) / images,
      chunk: overhead.perChunk,
      queueTake: overhead.serverPerChunk,
    },
  }
  const text = `${JSON.stringify(result, null, 2)}\n`
  process.stdout.write(text)
  if (values.out !== undefined) writeFileSync(values.out, text)
} finally {
  for (const child of children) child.kill('SIGKILL')
  await redis.stop()
  rmSync(folder, { recursive: true, force: true })
}
