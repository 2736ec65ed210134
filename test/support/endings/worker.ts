// The worker thread of with-workers.ts: does what `task` names.
import { parentPort, workerData } from 'node:worker_threads'
import { GradCam, ScriptModule } from '../../../lib/index.js'
import { load, say, stayHere } from './work.js'

const { task, file } = workerData as { task: string; file: string }

/** Tells the main thread that now is the time. */
const ready = (): void => parentPort?.postMessage('ready')

const tasks: Record<string, () => Promise<unknown>> = {
  runs: async () => {
    const { model, input } = await load(file)
    model.registerForwardHook('second', () => {})
    const gradCam = new GradCam(model, ['second'])
    await gradCam.explain(input)
    await model.forward(input)
  },
  'runs for ever': async () => {
    const { model, input } = await load(file)
    for (let i = 0; ; i++) {
      const pass = model.forward(input)
      if (i === 1) ready()
      ;(await pass).dispose()
    }
  },
  'explains for ever': async () => {
    const { model, input } = await load(file)
    const gradCam = new GradCam(model, ['second'])
    ready()
    for (;;) for (const one of await Promise.all([1, 2, 3].map(() => gradCam.explain(input)))) one.dispose()
  },
  'loads for ever': async () => {
    ready()
    for (;;) (await ScriptModule.load(file)).dispose()
  },
  'stays in a hook': async () => {
    const { model, input } = await load(file)
    model.registerForwardHook('second', () => {
      ready()
      stayHere()
    })
    await model.forward(input)
  },
  'stays in a backward hook': async () => {
    const { model, input } = await load(file)
    model.registerFullBackwardHook('second', () => {
      ready()
      stayHere()
    })
    await (await model.forward(input)).sum().backward()
  },
  'computes in a hook': async () => {
    const { model, input } = await load(file)
    model.registerForwardPreHook('second', () => {
      ready()
      for (;;) input.relu().dispose()
    })
    await model.forward(input)
  },
  'exits during a run': async () => {
    const { model, input } = await load(file)
    void model.forward(input)
    setTimeout(() => process.exit(5), 20)
  },
  'exits in a hook': async () => {
    const { model, input } = await load(file)
    model.registerForwardHook('second', () => {
      say('in the hook')
      process.exit(5)
    })
    await model.forward(input)
  },
  'fails during a run': async () => {
    const { model, input } = await load(file)
    void model.forward(input)
    setTimeout(() => {
      throw new Error('nobody in the worker catches this')
    }, 20)
  },
}

const perform = tasks[task]
if (!perform) throw new Error(`there is no task '${task}'`)
await perform()
