import test, { type ExecutionContext } from 'ava'
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  BatchExplanation,
  Cam,
  explainAll,
  FullGrad,
  GradCam,
  GradCamError,
  GuidedBackprop,
  gridFeatures,
  InputAttribution,
  InputPerturbation,
  manualSeed,
  ScriptModule,
  Tensor,
  tidy,
  type BatchInput,
  type BatchProgress,
  type BatchResult,
  type ExplainAllOptions,
} from '../../lib/index.js'
import { loadSharp } from '../../lib/images/sharp.js'
import { jpegOf, sampleModel } from '../support/batch.js'
import { heldTensors, settledLiveTensors } from '../support/live-tensors.js'

manualSeed(0)

const model = await ScriptModule.load(sampleModel)
const small = { resize: [64, 64], mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const
const images = await Promise.all(Array.from({ length: 24 }, (_, seed) => jpegOf(seed)))
const options = { model, layer: 'features', preprocess: small, batchSize: 4 }

test.after(() => model.dispose())

async function all<Extra>(results: AsyncIterable<BatchResult<Extra>>): Promise<BatchResult<Extra>[]> {
  const found: BatchResult<Extra>[] = []
  for await (const result of results) found.push(result)
  return found
}

function explained<Extra>(t: ExecutionContext, result: BatchResult<Extra> | undefined): BatchExplanation<Extra> {
  if (!(result instanceof BatchExplanation)) return t.fail(`no explanation: ${String(result?.error)}`) as never
  return result
}

/** Nothing of the job may be left: late results of what was cancelled are freed when they come. */
async function assertFreed(t: ExecutionContext, before: number): Promise<void> {
  t.is(await settledLiveTensors(before), before)
}

function distance(a: Tensor, b: Tensor): number {
  return tidy(() => a.sub(b).norm().item() / (b.norm().item() + 1e-12))
}

test.serial('every result is that of its input alone, in the order of the inputs', async (t) => {
  const before = await heldTensors()
  using gradCam = new GradCam(model, ['features'])
  const inputs = images.map(() => Tensor.randn([1, 3, 64, 64]))
  const results = await all(explainAll(inputs, options))
  t.deepEqual(
    results.map(({ index, id }) => [index, id]),
    inputs.map((_, i) => [i, String(i)]),
  )
  for (const [i, input] of inputs.entries()) {
    const result = explained(t, results[i])
    using alone = await gradCam.explain(input)
    t.is(result.target, alone.targets[0] as number)
    t.true(Math.abs(result.score - (alone.scores[0] as number)) < 1e-4)
    t.deepEqual(result.map.shape, alone.cam.shape)
    t.true(distance(result.map, alone.cam) < 1e-5)
    const logits = [...(alone.output.toTypedArray() as Float32Array)]
    const order = logits.map((_, at) => at).sort((a, b) => (logits[b] as number) - (logits[a] as number))
    t.deepEqual(
      result.top.map((one) => one.class),
      order.slice(0, 5),
    )
    const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0)
    for (const one of result.top) t.true(Math.abs(one.probability - Math.exp(logits[one.class] as number) / sum) < 1e-5)
    result.dispose()
    t.throws(() => result.map, { code: 'ERR_DISPOSED' })
    input.dispose()
  }
  gradCam.dispose()
  await assertFreed(t, before)
})

test.serial('every method of maps and of attributions gives what its own class gives', async (t) => {
  const before = await heldTensors()
  {
    using one = Tensor.randn([1, 3, 64, 64])
    const job = { model, target: 2, batchSize: 1 } as const
    for (const method of ['layercam', 'eigencam'] as const) {
      using cam = new Cam(model, { layers: ['features'], methods: [method] })
      using expected = await cam.explain(one, { target: 2 })
      const [result] = await all(explainAll([one], { ...job, method, layer: 'features' }))
      using found = explained(t, result)
      t.true(distance(found.map, expected.cam) < 1e-5, method)
    }
    for (const method of ['saliency', 'integrated-gradients'] as const) {
      using attribution = new InputAttribution(model, { method })
      using expected = await attribution.explain(one, { target: 2 })
      const [result] = await all(explainAll([one], { ...job, method }))
      using found = explained(t, result)
      using mean = expected.attribution.mean(1, true)
      t.true(distance(found.map, mean) < 1e-5, method)
    }
    using whole = new FullGrad(model)
    using full = await whole.explain(one, { target: 2 })
    const [fullResult] = await all(explainAll([one], { ...job, method: 'fullgrad' }))
    using fullFound = explained(t, fullResult)
    t.true(distance(fullFound.map, full.cam) < 1e-5)
    // Images of two sizes: a grid of eighths for each.
    using other = Tensor.randn([1, 3, 48, 40])
    const grids = await all(explainAll([one, other], { ...job, method: 'feature-ablation' }))
    for (const [i, input] of [one, other].entries()) {
      using grid = gridFeatures(input.shape.slice(2) as [number, number])
      using ablation = new InputPerturbation(model, { method: 'feature-ablation', features: grid })
      using expectedOfGrid = await ablation.explain(input, { target: 2 })
      using mean = expectedOfGrid.attribution.mean(1, true)
      using foundOfGrid = explained(t, grids[i])
      t.true(distance(foundOfGrid.map, mean) < 1e-5)
    }
    using reduced = new GradCam(model, ['features'], { precision: 'bfloat16' })
    using expected = await reduced.explain(one, { target: 2 })
    const [result] = await all(explainAll([one], { ...job, layer: 'features', precision: 'bfloat16' }))
    using found = explained(t, result)
    t.true(distance(found.map, expected.cam) < 1e-5)
  }
  await assertFreed(t, before)
})

test.serial('guided methods give the mean gradient and its product with the map', async (t) => {
  const inputs = [0, 1, 2].map(() => Tensor.randn([3, 48, 40]))
  using guided = new GuidedBackprop(model)
  using gradCam = new GradCam(model, ['features'])
  const plain = await all(explainAll(inputs, { model, method: 'guided-backprop', target: 2, batchSize: 2 }))
  const mixed = await all(
    explainAll(inputs, { model, method: 'guided-gradcam', layer: 'features', target: 2, batchSize: 2 }),
  )
  for (const [i, input] of inputs.entries()) {
    using one = input.unsqueeze(0)
    using expected = await guided.explain(one, { target: 2 })
    using cam = await gradCam.explain(one, { target: 2 })
    using mean = expected.gradient.mean(1, true)
    t.true(distance(explained(t, plain[i]).map, mean) < 1e-5)
    using product = tidy(() => cam.cam.interpolate([48, 40]).mul(mean))
    t.true(distance(explained(t, mixed[i]).map, product) < 1e-5)
    t.is(explained(t, mixed[i]).target, 2)
  }
  for (const one of [...plain, ...mixed, ...inputs]) one.dispose()
})

test.serial('bytes, entries, targets and bad inputs side by side', async (t) => {
  const before = await heldTensors()
  const tensor = Tensor.randn([3, 64, 64])
  const inputs: BatchInput[] = [
    images[0] as Buffer,
    '/no/such/image.jpg',
    { id: 'five', source: images[1] as Buffer, target: 5 },
    { id: 'beyond', source: images[2] as Buffer, target: 8 },
    Buffer.alloc(0),
    { id: 'bad target', source: images[2] as Buffer, target: -1 },
    { id: 'a tensor', tensor },
    { id: 'both', tensor, source: 'x' },
    Tensor.zeros([2, 3, 64, 64]),
    7 as never,
    { id: 'last', source: images[3] as Buffer, target: 'argmax' },
  ]
  const results = await all(explainAll(inputs, { ...options, target: 1, sha256: true }))
  t.deepEqual(
    results.map((result) => (result.ok ? result.target : (result.error as GradCamError).code)),
    [
      1,
      'ERR_IMAGE_NOT_FOUND',
      5,
      'ERR_TARGET_OUT_OF_RANGE',
      'ERR_IMAGE_CORRUPT',
      'ERR_TARGET',
      1,
      'ERR_INVALID_ARGUMENT',
      'ERR_SHAPE',
      'ERR_INVALID_ARGUMENT',
      explained(t, results[10]).top[0]?.class as number,
    ],
  )
  t.is(results[4]?.sha256, createHash('sha256').digest('hex'))
  t.is(
    results[0]?.ok && results[0].sha256,
    createHash('sha256')
      .update(images[0] as Buffer)
      .digest('hex'),
  )
  t.deepEqual(results.map(({ id }) => id).slice(0, 4), ['0', '/no/such/image.jpg', 'five', 'beyond'])
  await t.throwsAsync(explained(t, results[6]).encode('overlay'), { message: /no image to draw its map over/ })
  t.true((await explained(t, results[6]).encode('grey')).length > 100)
  for (const result of results) result.dispose()
  tensor.dispose()
  ;(inputs[8] as Tensor).dispose()
  await assertFreed(t, before)
})

test.serial("onError: 'throw' ends the job with the first error, and frees all", async (t) => {
  const before = await heldTensors()
  const inputs = [...images.slice(0, 9), '/no/such/image.jpg', ...images.slice(9)]
  let got = 0
  let returned = false
  function* source(): Generator<BatchInput> {
    try {
      yield* [...inputs, ...inputs, ...inputs, ...inputs]
    } finally {
      returned = true
    }
  }
  const job = explainAll(source(), { ...options, onError: 'throw' })
  await t.throwsAsync(
    async () => {
      for await (using _ of job) got++
    },
    { code: 'ERR_IMAGE_NOT_FOUND' },
  )
  t.is(got, 9)
  t.true(returned)
  t.deepEqual(await job.next(), { done: true, value: undefined })
  await assertFreed(t, before)
})

test.serial('leaving the loop stops the source and frees all', async (t) => {
  const before = await heldTensors()
  for (const order of ['input', 'ready'] as const) {
    let returned = false
    let taken = 0
    async function* source(): AsyncGenerator<BatchInput> {
      try {
        for (;;) {
          await sleep(1)
          yield images[taken++ % images.length] as Buffer
        }
      } finally {
        returned = true
      }
    }
    let got = 0
    for await (using _ of explainAll(source(), { ...options, order })) if (++got === 6) break
    // A generator that was about to give an input ends once it has.
    await sleep(20)
    t.true(returned)
    t.true(taken <= 6 + 16 + 1, `${taken} inputs were taken for 6 results and a window of 16`)
    await assertFreed(t, before)
  }
  // And before anything came.
  const unused = explainAll(images, options)
  t.deepEqual(await unused.return(), { done: true, value: undefined })
  t.deepEqual(await unused.next(), { done: true, value: undefined })
  await assertFreed(t, before)
})

test.serial('a signal stops the job with its reason', async (t) => {
  const before = await heldTensors()
  const stop = new AbortController()
  const reason = new Error('enough')
  let got = 0
  await t.throwsAsync(
    async () => {
      for await (using _ of explainAll([...images, ...images], { ...options, signal: stop.signal }))
        if (++got === 5) stop.abort(reason)
    },
    { is: reason },
  )
  t.is(got, 5)
  await assertFreed(t, before)
  await t.throwsAsync(explainAll(images, { ...options, signal: stop.signal }).next(), { is: reason })
  const late = new AbortController()
  const waiting = explainAll(
    (async function* (): AsyncGenerator<BatchInput> {
      await new Promise(() => {})
      yield ''
    })(),
    { ...options, signal: late.signal },
  )
  setTimeout(() => late.abort(reason), 50)
  await t.throwsAsync(waiting.next(), { is: reason })
})

test.serial('an error of the source is thrown, after nothing is left running', async (t) => {
  const before = await heldTensors()
  function* source(): Generator<BatchInput> {
    yield* images.slice(0, 3)
    throw new TypeError('the list is torn')
  }
  await t.throwsAsync(all(explainAll(source(), { ...options, batchSize: 100 })), { message: 'the list is torn' })
  await assertFreed(t, before)
})

test.serial('no more inputs are in hand than the window allows, and the consumer is waited for', async (t) => {
  let taken = 0
  let most = 0
  let done = 0
  function* source(): Generator<BatchInput> {
    for (const image of [...images, ...images]) {
      taken++
      most = Math.max(most, taken - done)
      yield image
    }
  }
  for await (using _ of explainAll(source(), { ...options, window: 6 })) {
    await sleep(5)
    done++
  }
  t.is(done, 48)
  // The one that the loop holds was handed out, but is not done yet.
  t.true(most <= 7, `${most} at once`)
})

test.serial('shapes and kinds of targets that do not mix never block each other', async (t) => {
  // Each shape alone would fill the window without ever filling a batch.
  const inputs = Array.from({ length: 40 }, (_, i) => ({
    tensor: Tensor.randn([3, 32 + 8 * (i % 5), 40]),
    target: i % 3 === 0 ? ('argmax' as const) : i % 8,
  }))
  for (const order of ['input', 'ready'] as const) {
    const results = await all(explainAll(inputs, { ...options, order, window: 8, batchSize: 8 }))
    t.is(results.filter(({ ok }) => ok).length, 40)
    if (order === 'input')
      t.deepEqual(
        results.map(({ index }) => index),
        [...inputs.keys()],
      )
    for (const result of results) result.dispose()
  }
  for (const { tensor } of inputs) tensor.dispose()
})

test.serial('images larger than the memory allowed go through one by one', async (t) => {
  const sharp = await loadSharp()
  const large = await sharp({ create: { width: 800, height: 600, channels: 3, background: 'teal' } })
    .png()
    .toBuffer()
  // 1.44 MB each: none fits beside another.
  const results = await all(explainAll(Array<Buffer>(12).fill(large), { ...options, memory: 1_500_000 }))
  t.is(results.filter(({ ok }) => ok).length, 12)
  for (const result of results) result.dispose()
})

test.serial('a source that waits for its results gets them', async (t) => {
  // A server's queue: the next input comes only when the last is answered.
  let answered: () => void = () => {}
  async function* source(): AsyncGenerator<BatchInput> {
    for (const image of images.slice(0, 3)) {
      const answer = new Promise<void>((resolve) => (answered = resolve))
      yield image
      await answer
    }
  }
  let got = 0
  for await (using result of explainAll(source(), { ...options, maxWait: 10 })) {
    t.true(result.ok)
    got++
    answered()
  }
  t.is(got, 3)
})

test.serial('finish runs for several results at a time, and its failure is that of the input', async (t) => {
  let running = 0
  let most = 0
  const finish = async (result: BatchExplanation<unknown>): Promise<number> => {
    most = Math.max(most, ++running)
    const bytes = await result.encode('overlay')
    await sleep(20)
    running--
    if (result.index === 3) throw new RangeError('not this one')
    return bytes.length
  }
  const results = await all(explainAll(images.slice(0, 8), { ...options, concurrency: 3, finish }))
  t.is(most, 3)
  for (const result of results) {
    if (result.index === 3) t.is(result.ok ? null : (result.error as Error).message, 'not this one')
    else t.true(explained(t, result).extra > 500)
    result.dispose()
  }
})

test.serial('progress tells of every input, and what it throws ends the job', async (t) => {
  const events: BatchProgress[] = []
  const inputs = [...images.slice(0, 5), '/no/such/image.jpg']
  const results = await all(explainAll(inputs, { ...options, onProgress: (event) => events.push(event) }))
  for (const result of results) result.dispose()
  t.is(events.length, 6)
  t.deepEqual(
    events.map(({ explained: a, failed: b }) => a + b),
    [1, 2, 3, 4, 5, 6],
  )
  t.is(events.filter(({ ok }) => !ok)[0]?.id, '/no/such/image.jpg')
  const failing = explainAll(images, {
    ...options,
    onProgress: () => {
      throw new Error('no more')
    },
  })
  await t.throwsAsync(all(failing), { message: 'no more' })
})

test.serial('two replicas give the results of one', async (t) => {
  using second = await ScriptModule.load(sampleModel)
  const one = await all(explainAll(images, options))
  const two = await all(explainAll(images, { ...options, model: [model, second] }))
  for (const [i, result] of one.entries()) {
    const [a, b] = [explained(t, result), explained(t, two[i])]
    t.is(a.score, b.score)
    t.deepEqual(a.map.toTypedArray(), b.map.toTypedArray())
    a.dispose()
    b.dispose()
  }
})

test.serial('the event loop stays free', async (t) => {
  let worst = 0
  let last = performance.now()
  const timer = setInterval(() => {
    worst = Math.max(worst, performance.now() - last)
    last = performance.now()
  }, 1)
  for await (using result of explainAll(images, { ...options, finish: (done) => done.encode('overlay') }))
    t.true(result.ok)
  clearInterval(timer)
  t.true(worst < 200, `${worst} ms late`)
})

test.serial('wrong options are refused at once', (t) => {
  const wrong: [unknown, Record<string, unknown>, string, RegExp][] = [
    ['photos', {}, 'ERR_INVALID_ARGUMENT', /`source` must be .*, but is 'photos'/],
    [null, {}, 'ERR_INVALID_ARGUMENT', /`source` must be .*, but is null/],
    [[], { model: null }, 'ERR_INVALID_ARGUMENT', /`model` must be a loaded model/],
    [[], { model: [] }, 'ERR_INVALID_ARGUMENT', /`model` must be a loaded model/],
    [[], { batchSize: 0 }, 'ERR_INVALID_ARGUMENT', /`batchSize` must be .*, but is 0/],
    [[], { window: 1.5 }, 'ERR_INVALID_ARGUMENT', /`window` must be .*, but is 1\.5/],
    [[], { order: 'random' }, 'ERR_INVALID_ARGUMENT', /`order` must be 'input' or 'ready', but is 'random'/],
    [[], { onError: 'ignore' }, 'ERR_INVALID_ARGUMENT', /`onError` must be 'skip' or 'throw', but is 'ignore'/],
    [[], { method: 'scorecam++' }, 'ERR_INVALID_ARGUMENT', /`method` must be .*, but is 'scorecam\+\+'/],
    [[], { layer: undefined }, 'ERR_INVALID_ARGUMENT', /`layer` must be the path of a layer, .* gradcam/],
    [[], { method: 'guided-backprop' }, 'ERR_INVALID_ARGUMENT', /`layer` must be left out/],
    [
      [],
      { method: 'saliency', layer: undefined, precision: 'bfloat16' },
      'ERR_INVALID_ARGUMENT',
      /`precision` must be left out/,
    ],
    [[], { layer: 'featuers' }, 'ERR_LAYER_NOT_FOUND', /featuers/],
    [[], { preprocess: 'imagnet' }, 'ERR_INVALID_ARGUMENT', /`preprocess` must be/],
  ]
  for (const [source, change, code, message] of wrong)
    t.throws(() => explainAll(source as [], { ...options, ...change } as ExplainAllOptions), { code, message })
})

test.serial('an empty source has no results', async (t) => {
  t.deepEqual(await all(explainAll([], options)), [])
})
