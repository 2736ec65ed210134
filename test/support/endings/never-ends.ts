// Ends in the way that its first argument names while a model never returns; the second is the file of one that loops when it
// runs, the third of one that loops when it is loaded. Run by never-ends.test.ts.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { GradCam, ScriptModule, Tensor } from '../../../lib/index.js'
import { say, sleep } from './work.js'

const [ending, file, atLoad] = isMainThread ? process.argv.slice(2) : (workerData as readonly string[])

/** Begins a pass that never ends. */
async function run(): Promise<void> {
  const model = await ScriptModule.load(file!)
  void new GradCam(model, ['conv'], { execution: 'hooked' }).explain(Tensor.ones([1, 3, 16, 16]))
  await sleep(100)
}

async function load(): Promise<void> {
  void ScriptModule.load(atLoad!)
  await sleep(300)
}

/** Has a worker begin the same, and ends it. */
async function terminate(task: string): Promise<number> {
  const worker = new Worker(new URL(import.meta.url), { workerData: [task, file, atLoad] })
  await new Promise((resolve) => {
    worker.once('message', resolve)
  })
  const began = performance.now()
  await worker.terminate()
  return performance.now() - began
}

const endings: Record<string, () => Promise<void>> = {
  'process.exit while it runs': async () => {
    await run()
    say('running')
    process.exit(7)
  },
  'process.exit while it is loaded': async () => {
    await load()
    say('loading')
    process.exit(7)
  },
  'process.exit with an exit code that is set late': async () => {
    await load()
    process.on('exit', () => {
      process.exitCode = 9
    })
    say('loading')
    process.exit(7)
  },
  'a worker is terminated while it runs': async () => {
    say((await terminate('runs')) < 4000 ? 'at once' : 'late')
  },
  'a worker is terminated while it is loaded, and the main thread works on': async () => {
    say((await terminate('loads')) < 20_000 ? 'in time' : 'late')
    const model = await ScriptModule.load(file!)
    await model
      .forward(Tensor.ones([1, 3, 16, 16]), { signal: AbortSignal.timeout(200) })
      .catch((error: Error) => say(error.name))
    process.exitCode = 7
  },
  runs: run,
  loads: load,
}

await endings[ending!]!()
parentPort?.postMessage('here')
