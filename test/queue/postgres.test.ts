import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { enqueueJob, startWorker } from '../../lib/index.js'
import { assertSameResults, localJob, queuePlace, recorded } from '../support/queue-job.js'
import { startPostgres, withPostgres } from '../support/queue-server.js'

const password = 'an&other:secret'

withPostgres(
  'PostgreSQL: a worker is killed and the server restarted, and the results are those of a local job',
  async (t) => {
    const names = Array.from({ length: 24 }, (_, i) => `${i}.jpg`)
    const place = await queuePlace(t, names, (folder) => startPostgres(folder, password))
    const { server, spec, out, source, folder } = place
    await using job = await enqueueJob(spec, { queue: server.url, out, source, chunk: 4 })
    const ended = job.result()
    ended.catch(() => {})
    const workers = [place.worker(), place.worker()]
    while (recorded(out) < 4) await sleep(20)
    await workers[0]?.kill('SIGKILL')
    workers[0] = place.worker()
    await server.restart()
    t.true(existsSync(join(out, '.gradcam-queue')), 'the job was not over')
    const said = workers.map((worker) => worker.said())
    t.like(await ended, { explained: 24, failed: 0, files: 48 }, said.join('\n'))
    for (const worker of workers) await worker.kill('SIGTERM')
    for (const worker of workers)
      t.false(worker.said().includes(encodeURIComponent(password)) || worker.said().includes(password))
    assertSameResults(t, out, await localJob(place))
    const wrong = server.url.replace(encodeURIComponent(password), 'wrong-secret')
    const error = await t.throwsAsync(startWorker({ queue: wrong, roots: [folder] }), { code: 'ERR_QUEUE' })
    t.regex(
      error?.message ?? '',
      /postgres:\/\/gradcam@127\.0\.0\.1:\d+\/postgres cannot be used: password authentication failed/,
    )
    t.false(`${error?.stack} ${JSON.stringify(error)}`.includes('wrong-secret'))
  },
)
