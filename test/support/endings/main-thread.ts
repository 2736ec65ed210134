// Ends in the way that its first argument names; the second is a model file. Run by endings.test.ts.
import { GradCam, GuidedBackprop, ScriptModule, Tensor } from '../../../lib/index.js'
import { load, say, sleep } from './work.js'

const [ending = '', file = ''] = process.argv.slice(2)

const endings: Record<string, () => Promise<unknown> | void> = {
  'returns after all kinds of work, nothing disposed': async () => {
    const { model, input } = await load(file)
    model.registerForwardHook('second', () => {})
    await new GradCam(model, ['second']).explain(input)
    const guided = new GuidedBackprop(model)
    await guided.forward(input)
    await guided.backward(0)
    guided.get()
    input.requiresGrad = true
    await (await model.forward(input)).sum().backward()
    say('done')
  },
  'returns while a run that nobody waits for goes on': async () => {
    const { model, input } = await load(file)
    void model.forward(input).then(() => say('done'))
  },
  'disposes everything in the middle of runs and returns': async () => {
    const { model, input } = await load(file)
    const gradCam = new GradCam(model, ['second'])
    void gradCam.explain(input).then(() => say('done'))
    void gradCam.forward(input).then(() => gradCam.dispose())
    await sleep(20)
    gradCam.dispose()
    model.dispose()
    input.dispose()
  },
  'process.exit during a forward pass': async () => {
    const { model, input } = await load(file)
    void model.forward(input)
    await sleep(20)
    say('running')
    process.exit(7)
  },
  'process.exit during explanations with more of them waiting': async () => {
    const { model, input } = await load(file)
    const gradCam = new GradCam(model, ['second'])
    for (let i = 0; i < 20; i++) void gradCam.explain(input)
    await sleep(60)
    say('running')
    process.exit(7)
  },
  'process.exit with work that has not begun': async () => {
    const { model, input } = await load(file)
    for (let i = 0; i < 20; i++) void model.forward(input)
    say('waiting')
    process.exit(7)
  },
  'process.exit while a model is loaded': () => {
    for (let i = 0; i < 20; i++) void ScriptModule.load(file)
    say('loading')
    setImmediate(() => process.exit(7))
  },
  'process.exit inside a forward hook': () => exitInHook('registerForwardHook'),
  'process.exit inside a forward pre-hook': () => exitInHook('registerForwardPreHook'),
  'process.exit inside a full backward hook': () => exitInHook('registerFullBackwardHook'),
  'an uncaught error during a run': async () => {
    const { model, input } = await load(file)
    void model.forward(input)
    setTimeout(() => {
      say('throwing')
      throw new Error('nobody catches this')
    }, 20)
  },
  'an uncaught error with nothing running': async () => {
    await load(file)
    throw new Error('nobody catches this')
  },
  'a hook throws, and nobody catches the rejected pass': async () => {
    const { model, input } = await load(file)
    model.registerForwardHook('second', () => {
      say('throwing')
      throw new Error('nobody catches this')
    })
    void model.forward(input)
  },
  'a load that is refused, and nobody catches it': () => {
    say('loading')
    void ScriptModule.load(`${file} that is not there`)
  },
  'beforeExit starts more work': async () => {
    const { model, input } = await load(file)
    await model.forward(input)
    process.once('beforeExit', () => void model.forward(input).then(() => say('done')))
  },
  "an 'exit' listener starts work that cannot run any more": async () => {
    const { model, input } = await load(file)
    process.on('exit', () => {
      void model.forward(input)
      Tensor.zeros([3]).add(1).dispose()
      say('done')
    })
  },
  'a listener for uncaught errors goes on with the work': async () => {
    const { model, input } = await load(file)
    process.on('uncaughtException', () => {
      void model.forward(input).then(() => say('done'))
    })
    const handle = model.registerForwardHook('second', () => {
      handle.remove()
      throw new Error('this one is caught')
    })
    void model.forward(input)
  },
}

async function exitInHook(
  register: 'registerForwardHook' | 'registerForwardPreHook' | 'registerFullBackwardHook',
): Promise<void> {
  const { model, input } = await load(file)
  model[register]('second', () => {
    say('in the hook')
    process.exit(7)
  })
  input.requiresGrad = true
  const output = await model.forward(input)
  await output.sum().backward()
}

const end = endings[ending]
if (!end) throw new Error(`there is no ending '${ending}'`)
await end()
