// Gives a job of many inputs to a queue, and says what that takes: memory of the process that enqueues, of the worker that lists the
// inputs and explains them by a stub, and of Redis, and how fast inputs are enqueued and merged.
//
//   npm run build && node scripts/queue/million.mjs [--inputs 1000000] [--chunk 64] [--max-waiting 256]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { enqueueJob } from 'libtorch-gradcam'
import { startRedis } from '#test-support/start-queue-server.js'
import { askRedis, residentOf, startStub, stubInputs } from './stub-job.mjs'

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '1000000' },
    chunk: { type: 'string', default: '64' },
    'max-waiting': { type: 'string', default: '256' },
  },
})
const [inputs, chunk, maxWaiting] = [Number(values.inputs), Number(values.chunk), Number(values['max-waiting'])]
const folder = mkdtempSync(join(tmpdir(), 'gradcam-million-'))
const redis = await startRedis(mkdtempSync(join(folder, 'redis-')))
const { spec, source } = await stubInputs(folder, inputs)
const worker = await startStub(redis.url, folder, 4, maxWaiting)
try {
  const began = performance.now()
  const seconds = () => (performance.now() - began) / 1000
  const job = await enqueueJob(spec, { queue: redis.url, out: join(folder, 'out'), source, chunk })
  console.log(`enqueueJob returned after ${seconds().toFixed(2)} s`)
  const most = { producer: 0, worker: 0, redis: 0 }
  let [told, listed, explained, ended] = [0, NaN, NaN, false]
  const result = job
    .result({
      onProgress: (progress) => {
        if (progress.listed && Number.isNaN(listed)) listed = seconds()
        if (progress.listed && progress.chunksDone === progress.chunks) explained = seconds()
        if (progress.failed < told + inputs / 10 && !progress.listed) return
        told = progress.failed
        console.log(
          `${seconds().toFixed(0)} s: ${progress.inputs} listed, ${progress.failed} done; producer ${residentOf(process.pid).toFixed(0)} MB, ` +
            `worker that coordinates ${residentOf(worker.pid ?? 0).toFixed(0)} MB`,
        )
      },
    })
    .finally(() => (ended = true))
  while (!ended) {
    most.producer = Math.max(most.producer, residentOf(process.pid))
    most.worker = Math.max(most.worker, residentOf(worker.pid ?? 0))
    most.redis = Math.max(most.redis, (await askRedis(redis.port, 'used_memory')) / 2 ** 20)
    await sleep(200)
  }
  const summary = await result
  const total = seconds()
  await job.close()
  if (summary.failed !== inputs) throw new Error(`${summary.failed} of ${inputs} inputs were done`)
  console.log(
    JSON.stringify(
      {
        inputs,
        chunk,
        maxWaiting,
        seconds: total,
        enqueuedPerSecond: inputs / listed,
        mergeSeconds: total - explained,
        mostMegabytes: most,
      },
      null,
      2,
    ),
  )
} finally {
  worker.kill('SIGKILL')
  await redis.stop()
  rmSync(folder, { recursive: true, force: true })
}
