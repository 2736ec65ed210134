import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { enqueueJob } from '../../lib/index.js'
import { breakableNetwork } from '../support/breakable-network.js'
import { assertSameResults, localJob, queuePlace, recorded } from '../support/queue-job.js'
import { withRedis } from '../support/queue-server.js'
import { lines } from '../support/workplace.js'

/** 50 by hand: GRADCAM_QUEUE_KILLS=50. */
const kills = Number(process.env['GRADCAM_QUEUE_KILLS'] ?? 12)

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 3000) throw new Error(`it did not happen: ${what}`)
    await sleep(20)
  }
}

withRedis(`${kills} workers killed and a server restarted: one result for each input, as of a local job`, async (t) => {
  // Some ten are explained from one kill to the next.
  const count = 16 * kills
  const place = await queuePlace(
    t,
    Array.from({ length: count }, (_, i) => `${i % 3 === 0 ? 'sub/' : ''}${i}.jpg`),
  )
  const { server, spec, out, source } = place
  await using job = await enqueueJob(spec, { queue: server.url, out, source, chunk: 5 })
  const ended = job.result()
  ended.catch(() => {})
  const workers = [place.worker(), place.worker()]
  const seen: number[] = []
  for (let kill = 0; kill < kills; kill++) {
    // In the middle of chunks, of which every other worker has begun some, and while the other starts.
    await until(() => recorded(out) > (seen.at(-1) ?? 0), 'an input was explained')
    await sleep(Math.random() * 300)
    await workers[kill % 2]?.kill('SIGKILL')
    workers[kill % 2] = place.worker()
    if (kill % 6 === 3) await server.restart()
    seen.push(recorded(out))
  }
  t.log(`inputs recorded at each kill: ${seen.join(', ')}`)
  t.true((seen.at(-1) as number) < count, 'the job was not over')
  const summary = await ended
  t.like(summary, { explained: count, failed: 0, files: 2 * count })
  for (const worker of workers) await worker.kill('SIGTERM')
  assertSameResults(t, out, await localJob(place))
})

withRedis('a worker that hangs past its lock and comes back changes nothing', async (t) => {
  const place = await queuePlace(
    t,
    Array.from({ length: 24 }, (_, i) => `${i}.jpg`),
  )
  const { server, spec, out, source } = place
  await using job = await enqueueJob(spec, { queue: server.url, out, source, chunk: 12 })
  const hanging = place.worker()
  await until(() => recorded(out) > 0, 'a chunk was begun')
  hanging.child.kill('SIGSTOP')
  const other = place.worker()
  t.like(await job.result(), { explained: 24, failed: 0 }, other.said())
  const manifest = readFileSync(join(out, 'manifest.jsonl'), 'utf8')
  hanging.child.kill('SIGCONT')
  await sleep(1500)
  t.is(hanging.child.exitCode, null, hanging.said())
  await hanging.kill('SIGTERM')
  await other.kill('SIGTERM')
  t.is(hanging.child.exitCode, 0, hanging.said())
  t.is(readFileSync(join(out, 'manifest.jsonl'), 'utf8'), manifest)
  assertSameResults(t, out, await localJob(place))
})

withRedis('a worker that is cut off from the queue, and comes back when another has done its chunk', async (t) => {
  const place = await queuePlace(
    t,
    Array.from({ length: 24 }, (_, i) => `${i}.jpg`),
  )
  const { server, spec, out, source } = place
  const network = await breakableNetwork(server.url)
  t.teardown(network.close)
  await using job = await enqueueJob(spec, { queue: server.url, out, source, chunk: 12 })
  const away = place.worker(['--chunks', '1'], {}, network.url)
  await until(() => recorded(out) > 0, 'a chunk was begun')
  // It goes on with its images, and tells nobody: its lock of a second runs out.
  network.cut()
  const other = place.worker()
  t.like(await job.result(), { explained: 24, failed: 0 }, other.said())
  const manifest = readFileSync(join(out, 'manifest.jsonl'), 'utf8')
  const files = readdirSync(out, { recursive: true, encoding: 'utf8' }).sort()
  network.heal()
  await sleep(3000)
  t.is(away.child.exitCode, null, away.said())
  t.is(readFileSync(join(out, 'manifest.jsonl'), 'utf8'), manifest)
  t.deepEqual(readdirSync(out, { recursive: true, encoding: 'utf8' }).sort(), files)
  assertSameResults(t, out, await localJob(place))

  // It works again, for the next job.
  await other.kill('SIGTERM')
  const next = `${out}-2`
  await using second = await enqueueJob(spec, { queue: server.url, out: next, source })
  t.like(await second.result(), { explained: 24, failed: 0 }, away.said())
  await away.kill('SIGTERM')
  t.is(away.child.exitCode, 0, away.said())
})

withRedis('a worker whose server is gone ends all the same', async (t) => {
  const place = await queuePlace(t, ['a.jpg'])
  const worker = place.worker(['--grace', '1'])
  await until(() => worker.said().includes('works for'), 'the worker is ready')
  await place.server.stop()
  await worker.kill('SIGTERM')
  t.is(worker.child.exitCode, 0, worker.said())
})

withRedis('an input that kills its process is found, and fails alone', async (t) => {
  const names = Array.from({ length: 12 }, (_, i) => `${i}.jpg`)
  const place = await queuePlace(t, names)
  const { server, spec, out, source, folder } = place
  const local = await localJob(place)
  // Reading that image ends the process as a defect of a decoder would.
  const hook = join(folder, 'poison.mjs')
  writeFileSync(
    hook,
    `import promises from 'node:fs/promises'
     import { syncBuiltinESMExports } from 'node:module'
     const { readFile } = promises
     promises.readFile = (path, ...rest) => {
       if (String(path).endsWith('/7.jpg')) process.kill(process.pid, 'SIGSEGV')
       return readFile(path, ...rest)
     }
     syncBuiltinESMExports()`,
  )
  await using job = await enqueueJob(spec, { queue: server.url, out, source, chunk: 6 })
  let over = false
  const ended = job.result().finally(() => (over = true))
  let deaths = 0
  const supervise = async (): Promise<void> => {
    while (!over) {
      const worker = place.worker(['--chunks', '1'], { NODE_OPTIONS: `--import ${hook}` })
      await Promise.race([new Promise((resolve) => worker.child.once('exit', resolve)), ended])
      if (!over) deaths++
      else await worker.kill('SIGTERM')
    }
  }
  const [summary] = await Promise.all([ended, supervise()])
  t.like(summary, { explained: 11, failed: 1 })
  // One that is too slow to renew its lock of a second counts as dead, too.
  t.true(deaths === 1 || deaths === 2, `${deaths} deaths`)
  const failed = lines(out).find((line) => 'error' in line)
  t.is(failed?.id, '7.jpg')
  t.regex(JSON.stringify(failed), /ERR_WORKER_DIED.*died of it \(SIGSEGV\)/)
  assertSameResults(t, out, local, ['7.jpg'])
})
