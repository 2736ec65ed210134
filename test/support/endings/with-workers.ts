// Has workers that end in the way its first argument names; the second is a model file. Run by endings.test.ts.
import { Worker } from 'node:worker_threads'
import { load, say, sleep } from './work.js'

const [ending = '', file = ''] = process.argv.slice(2)

/** A worker that does what worker.ts has under that name. */
function start(task: string): Worker {
  return new Worker(new URL('worker.js', import.meta.url), { workerData: { task, file } })
}

const exitCode = (worker: Worker): Promise<number> =>
  new Promise((resolve) => {
    worker.once('exit', resolve)
  })

const message = (worker: Worker): Promise<unknown> =>
  new Promise((resolve, reject) => {
    worker.once('message', resolve).once('error', reject)
  })

/** Has the worker say that it has come to `task`'s critical point, waits a little, and ends it. */
async function terminate(task: string, delay: number): Promise<void> {
  const worker = start(task)
  await message(worker)
  await sleep(delay)
  await worker.terminate()
  say('terminated')
}

const endings: Record<string, () => Promise<unknown>> = {
  'a worker runs and returns, and the addon is loaded nowhere else': async () => {
    say(`exit code ${await exitCode(start('runs'))}`)
  },
  'three workers, one after another': async () => {
    for (let i = 0; i < 3; i++) say(`exit code ${await exitCode(start('runs'))}`)
  },
  'four workers and the main thread at once': async () => {
    const workers = Array.from({ length: 4 }, () => exitCode(start('runs')))
    const { model, input } = await load(file)
    for (let i = 0; i < 3; i++) await model.forward(input)
    say(`exit codes ${(await Promise.all(workers)).join(' ')}`)
  },
  'the main thread works on when its worker has ended': async () => {
    const { model, input } = await load(file)
    await exitCode(start('runs'))
    await model.forward(input)
    say('done')
  },
  'a worker is terminated while a pass runs': () => terminate('runs for ever', 30),
  'a worker is terminated while explanations run and wait': () => terminate('explains for ever', 30),
  'a worker is terminated while it loads a model': () => terminate('loads for ever', 3),
  'a worker is terminated while its hook runs': () => terminate('stays in a hook', 10),
  'a worker is terminated while its backward hook runs': () => terminate('stays in a backward hook', 10),
  'a worker is terminated while its hook computes': () => terminate('computes in a hook', 20),
  'four workers are terminated at once': async () => {
    await Promise.all(
      ['runs for ever', 'stays in a hook', 'explains for ever', 'computes in a hook'].map((task) =>
        terminate(task, 20),
      ),
    )
  },
  'a worker calls process.exit during a run': async () => {
    say(`exit code ${await exitCode(start('exits during a run'))}`)
  },
  'a worker calls process.exit inside a hook': async () => {
    say(`exit code ${await exitCode(start('exits in a hook'))}`)
  },
  'a worker has an uncaught error during a run': async () => {
    const worker = start('fails during a run')
    worker.once('error', (error) => say(error.message))
    say(`exit code ${await exitCode(worker)}`)
  },
  'process.exit while a worker runs': async () => {
    await message(start('runs for ever'))
    await sleep(20)
    say('exiting')
    process.exit(7)
  },
  'process.exit while a hook of a worker runs': async () => {
    await message(start('stays in a hook'))
    say('exiting')
    process.exit(7)
  },
  'process.exit while the main thread and a worker run': async () => {
    const { model, input } = await load(file)
    await message(start('explains for ever'))
    for (let i = 0; i < 10; i++) void model.forward(input)
    await sleep(20)
    say('exiting')
    process.exit(7)
  },
}

const end = endings[ending]
if (!end) throw new Error(`there is no ending '${ending}'`)
await end()
