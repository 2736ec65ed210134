import test, { type ExecutionContext } from 'ava'
import {
  GradCam,
  GuidedBackprop,
  ScriptModule,
  Tensor,
  disposeValue,
  liveTensors,
  manualSeed,
} from '../../lib/index.js'
import { collectGarbage, heldTensors } from '../support/live-tensors.js'
import { smallNets } from '../support/models.js'
import { assertParity } from '../support/parity.js'
import { smallNetReference } from '../support/small-net-cases.js'
import { toTensor } from '../support/to-tensor.js'

manualSeed(0)

const peer = await smallNetReference()
const nets = await smallNets()

/** A model, and an input on which one explanation takes some 100 ms. */
async function slow(t: ExecutionContext) {
  await collectGarbage()
  const model = await ScriptModule.load(nets.file('siblings'))
  const input = Tensor.randn([16, 3, 128, 128])
  const gradCam = new GradCam(model, ['second'])
  t.teardown(() => {
    for (const held of [gradCam, model, input]) held.dispose()
  })
  return { model, input, gradCam }
}

/** Waits until all that was submitted has ended: calls are served in order. */
async function idle(model: ScriptModule): Promise<void> {
  using small = Tensor.zeros([1, 3, 16, 20])
  ;(await model.forward(small)).dispose()
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (thrown) {
    return { thrown }
  }
  return 'it did not reject'
}

test.serial('a signal that was aborted before: nothing starts, and the reason rejects', async (t) => {
  const { model, input, gradCam } = await slow(t)
  let calls = 0
  model.registerForwardHook('', (_, inputs, output) => {
    calls++
    disposeValue([...inputs, output])
  })
  const before = await heldTensors()
  for (const reason of [new Error('mine'), 'text', 7, null]) {
    const signal = AbortSignal.abort(reason)
    const thrown = { thrown: reason }
    t.deepEqual(await rejection(model.forward(input, { signal })), thrown)
    t.deepEqual(await rejection(gradCam.explain(input, { signal })), thrown)
    t.deepEqual(await rejection(gradCam.forward(input, { signal })), thrown)
    t.deepEqual(await rejection(ScriptModule.load(nets.file('plain'), { signal })), thrown)
  }
  t.is(
    await ScriptModule.load(nets.file('plain'), { signal: AbortSignal.abort() }).catch((e: Error) => e.name),
    'AbortError',
  )
  await idle(model)
  t.is(calls, 1, "idle's own")
  t.is(liveTensors(), before)
})

test.serial('a call that waits for another never starts when it is aborted', async (t) => {
  const { model, input, gradCam } = await slow(t)
  using other = Tensor.randn([2, 3, 16, 20])
  const before = await heldTensors()
  const controller = new AbortController()
  const batches: number[] = []
  model.registerForwardPreHook('', (_, inputs) => {
    batches.push((inputs[0] as Tensor).shape[0] as number)
    ;(inputs[0] as Tensor).dispose()
  })
  const running = gradCam.explain(input)
  const waiting = gradCam.explain(other, { signal: controller.signal })
  const reason = new Error('mine')
  controller.abort(reason)
  t.deepEqual(await rejection(waiting), { thrown: reason })
  t.deepEqual(batches, [], 'not even the first has begun')
  ;(await running).dispose()
  await idle(model)
  t.deepEqual(batches, [16, 1], "what ran, and idle's own")
  t.is(liveTensors(), before)
})

for (const what of ['forward', 'explain', 'explain with a function'] as const) {
  test.serial(`${what}: an abort between two modules of the pass stops it there`, async (t) => {
    const { model, input, gradCam } = await slow(t)
    const before = await heldTensors()
    const controller = new AbortController()
    const reason = new Error('mine')
    const called: string[] = []
    for (const path of ['first', 'second', 'third'])
      model.registerForwardPreHook(path, (module, inputs) => {
        called.push(module.path)
        ;(inputs[0] as Tensor).dispose()
        if (path === 'second') controller.abort(reason)
      })
    const { signal } = controller
    const running =
      what === 'forward'
        ? model.forward(input, { signal })
        : gradCam.explain(input, {
            signal,
            ...(what === 'explain' ? {} : { target: (logits: Tensor) => logits.sum() }),
          })
    t.deepEqual(await rejection(running), { thrown: reason })
    await idle(model)
    t.deepEqual(called.slice(0, 2), ['first', 'second'])
    t.deepEqual(called.slice(2), ['first', 'second', 'third'], 'only the next pass went on to the third')
    t.is(liveTensors(), before)
  })
}

test.serial('an abort rejects at once, long before the step that runs has ended', async (t) => {
  const { model, input, gradCam } = await slow(t)
  using large = Tensor.cat([input, input, input, input])
  const before = await heldTensors()
  const controller = new AbortController()
  let ended = false
  const running = gradCam.explain(large, { signal: controller.signal })
  const all = running
    .catch(() => {})
    .then(() => idle(model))
    .then(() => (ended = true))
  setTimeout(() => controller.abort(), 10)
  await t.throwsAsync(running, { any: true, name: 'AbortError' })
  t.false(ended)
  await all
  t.is(liveTensors(), before)
})

test.serial('an abort after the end changes nothing', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  using gradCam = new GradCam(model, ['features'])
  const controller = new AbortController()
  const { signal } = controller
  using explanation = await gradCam.explain(input, { target: [0, 1], signal })
  using _logits = await gradCam.forward(input, { signal })
  await gradCam.backward([0, 1], { signal })
  controller.abort()
  assertParity(t, explanation.cam, peer.tensor('plain', 'gradcam features', 'cam:features'), 'map')
  assertParity(t, gradCam.get('features'), peer.tensor('plain', 'gradcam features', 'cam:features'), 'map')
})

test.serial('AbortSignal.timeout, many times over, leaves nothing behind', async (t) => {
  const { model, input, gradCam } = await slow(t)
  const before = await heldTensors()
  let aborted = 0
  for (let i = 0; i < 12; i++) {
    const results = await Promise.allSettled([
      gradCam.explain(input, { signal: AbortSignal.timeout(3 * i) }),
      model.forward(input, { signal: AbortSignal.timeout(3 * i) }),
    ])
    for (const result of results) {
      if (result.status === 'fulfilled') result.value.dispose()
      else {
        aborted++
        t.is((result.reason as Error).name, 'TimeoutError')
      }
    }
  }
  t.true(aborted > 0)
  await idle(model)
  t.is(liveTensors(), before)
})

test.serial('500 explanations: live tensors return to the start, and memory does not grow', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  using gradCam = new GradCam(model, ['features', 'features.4'])
  using guided = new GuidedBackprop(model)
  const score = (logits: Tensor): Tensor => logits.select(1, 0).sum()
  const round = async (i: number): Promise<void> => {
    using _one = await gradCam.explain(input, { target: i % 5 })
    using _two = await guided.explain(input, { target: score })
    using _logits = await gradCam.forward(input)
    await gradCam.backward(score)
    await gradCam.backward(i % 5)
    using _map = gradCam.get('features')
  }
  for (let i = 0; i < 60; i++) await round(i)
  gradCam.dispose()
  guided.dispose()
  await collectGarbage()
  const before = { live: liveTensors(), rss: process.memoryUsage().rss }
  using again = new GradCam(model, ['features', 'features.4'])
  for (let i = 0; i < 500; i++) {
    using _explanation = await again.explain(input, { target: i % 5 })
  }
  again.dispose()
  t.is(liveTensors(), before.live)
  await collectGarbage()
  const grown = (process.memoryUsage().rss - before.rss) / 2 ** 20
  t.log(`500 explanations: RSS ${grown.toFixed(1)} MB more than after the warm-up of 60`)
  t.true(grown < 12, `RSS grew by ${grown.toFixed(1)} MB`)
})
