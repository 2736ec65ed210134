import test from 'ava'
import {
  AverageDrop,
  Cam,
  Deletion,
  EnergyPointingGame,
  InputAttribution,
  Insertion,
  liveTensors,
  metrics,
  ParameterRandomization,
  PointingGame,
  rankCorrelation,
  Road,
  ScriptModule,
  Tensor,
  type ExplainMaps,
  type GradCamError,
  type Metric,
  type MetricName,
  type MetricTarget,
} from '../../lib/index.js'
import { heldTensors, settledLiveTensors } from '../support/live-tensors.js'
import { farthest } from '../support/arithmetic.js'
import { smallNets } from '../support/models.js'
import { toTensor } from '../support/to-tensor.js'
import { unusualNets } from '../support/unusual-nets.js'

const nets = await smallNets()
const names = Object.keys(metrics) as MetricName[]

const explain: ExplainMaps = async (model, input, options) => {
  using cam = new Cam(model, { layers: ['features'], compat: 'captum' })
  using found = await cam.explain(input, options)
  return found.cam.clone()
}

/** Few steps, so that every metric is quick. */
function create(name: MetricName, model: ScriptModule, more: object = {}): Metric {
  const quick = { steps: 4, percentiles: [30, 70], samples: 3 }
  const options = { ...(metrics[name].needs === 'explain' ? { explain } : {}), ...quick, ...more }
  return metrics[name].create(model, options as never)
}

/** Options that metrics have to refuse. */
const badOptions: Partial<Record<MetricName, object>> = {
  adcc: { explain: 'gradcam', score: 'logit' },
  'sensitivity-avg': { explain: undefined, samples: 0, radius: -1, seed: 0.5 },
  monotonicity: { steps: 0, baseline: 'grey' },
  'monotonicity-correlation': { steps: 1, samples: 0, sigma: -1, seed: -1 },
  'faithfulness-correlation': { samples: 1, subset: 0, baseline: NaN, seed: -1 },
  selectivity: { steps: 0, patch: 1.5, baseline: 'grey' },
}

/** The value of a constant map, for an image of 320 pixels. */
const ofConstantMap: Partial<Record<MetricName, number>> = {
  // Both orders remove the same pixels.
  road: 0,
  'pointing-game': 0,
  'relevance-rank-accuracy': 0,
  'parameter-randomization': 0,
  sparseness: 0,
  complexity: Math.log(320),
  'monotonicity-correlation': 0,
  'faithfulness-correlation': 0,
  adcc: 0,
}

async function plain() {
  const model = await ScriptModule.load(nets.file('plain'))
  const pair = toTensor(nets.input('plain'))
  const input = Tensor.cat([pair, pair.flip([3]), pair.mul(0.5)])
  const targets = [0, 1, 2, 3, 4, 0]
  const boxes = targets.map((i) => ({ x: 2 * i, y: i, w: 8, h: 7 }))
  const maps = await explain(model, input, { target: targets, signal: undefined })
  return { model, input, targets, boxes, maps }
}

for (const name of names) {
  test.serial(`${name}: an image's value depends neither on its batch nor on the chunk`, async (t) => {
    const { model, input, targets, boxes, maps } = await plain()
    using whole = create(name, model)
    await whole.add(input, maps, { targets, boxes })
    const { perImage, mean, count, points, curve } = whole.result()
    t.is(count, 6)
    t.is(perImage.length, 6)
    t.is(points.length, curve.length)
    t.true(Math.abs(mean - perImage.reduce((sum, value) => sum + value, 0) / 6) < 1e-12)
    t.true(perImage.every(Number.isFinite), perImage.join(' '))
    for (const [batchSize, sizes] of [
      [1, [6]],
      [5, [1, 2, 3]],
    ] as const) {
      using parts = create(name, model, { batchSize })
      let from = 0
      for (const size of sizes) {
        const of = [from, from + size] as const
        const batch = { targets: targets.slice(...of), boxes: boxes.slice(...of) }
        await parts.add(input.slice(0, ...of), maps.slice(0, ...of), batch)
        from += size
      }
      const again = parts.result().perImage
      const scale = Math.max(...perImage.map(Math.abs)) || 1
      t.true(farthest(again, perImage) <= 1e-4 * scale, `${again.join(' ')} is not ${perImage.join(' ')}`)
    }
  })

  test.serial(`${name}: what does not fit is refused, and adds nothing`, async (t) => {
    const { model, input, targets, boxes, maps } = await plain()
    using metric = create(name, model)
    t.throws(() => metric.result(), { code: 'ERR_NO_FORWARD' })
    const batch = { targets, boxes }
    await t.throwsAsync(metric.add(input, maps.slice(0, 0, 5), batch), {
      code: 'ERR_SHAPE',
      message: /5 maps.*6 images/,
    })
    await t.throwsAsync(metric.add(input, maps.select(0, 0), batch), { code: 'ERR_SHAPE' })
    await t.throwsAsync(metric.add(input.select(0, 0), maps, batch), { code: 'ERR_SHAPE' })
    await t.throwsAsync(metric.add([] as never, maps, batch), { code: 'ERR_SHAPE' })
    await t.throwsAsync(metric.add(input, maps.div(0), batch), { code: 'ERR_INVALID_ARGUMENT', message: /NaN/ })
    const { needs, scores } = metrics[name]
    if (needs === 'boxes' || needs === 'masks')
      for (const bad of [undefined, boxes.slice(1), boxes.map(() => []), boxes.map(() => ({ x: 0, y: 0, w: 0, h: 4 }))])
        await t.throwsAsync(metric.add(input, maps, { targets, boxes: bad }), { code: 'ERR_INVALID_ARGUMENT' })
    if (scores) {
      await t.throwsAsync(metric.add(input, maps, { targets: [0, 1] }), { code: 'ERR_TARGET_COUNT' })
      await t.throwsAsync(metric.add(input, maps, { targets: 5 }), { code: 'ERR_TARGET_OUT_OF_RANGE' })
      const scalar = ((output: Tensor) => output.sum()) as unknown as MetricTarget
      await t.throwsAsync(metric.add(input, maps, { targets: scalar }), { code: 'ERR_TARGET' })
      await t.throwsAsync(metric.add(input.div(0), maps, { targets: 0 }), { code: 'ERR_INVALID_ARGUMENT' })
    }
    t.throws(() => metric.result(), { code: 'ERR_NO_FORWARD' })
    t.throws(() => create(name, model, { batchSize: 0 }), { code: 'ERR_INVALID_ARGUMENT' })
    t.throws(() => create(name, model, { score: 'odds' }), { code: 'ERR_INVALID_ARGUMENT' })
    // Whatever number an option of this metric is, this is none for it.
    for (const [option, bad] of Object.entries(badOptions[name] ?? {}))
      t.throws(() => create(name, model, { [option]: bad }), { code: 'ERR_INVALID_ARGUMENT' }, option)
    metric.dispose()
    metric.dispose()
    await t.throwsAsync(metric.add(input, maps, batch), { code: 'ERR_DISPOSED' })
  })

  test.serial(`${name}: keeps no tensor, also where it is aborted`, async (t) => {
    const { model, input, targets, boxes, maps } = await plain()
    using metric = create(name, model)
    const before = await heldTensors()
    await metric.add(input, maps, { targets, boxes })
    // What earlier tests left for the garbage collector may go in the meantime.
    t.true(liveTensors() <= before)
    const reason = new Error('enough')
    await t.throwsAsync(metric.add(input, maps, { targets, boxes, signal: AbortSignal.abort(reason) }), { is: reason })
    const controller = new AbortController()
    const running = metric.add(input, maps, { targets, boxes, signal: controller.signal })
    setImmediate(() => controller.abort(reason))
    await running.catch((error: unknown) => t.is(error, reason))
    t.true((await settledLiveTensors(before)) <= before)
  })

  test.serial(`${name}: a constant map says nothing, and is not an error`, async (t) => {
    const { model, input, targets, boxes, maps } = await plain()
    // PyTorch's upsampling makes several numbers of some of them, of others on other processors.
    for (const value of [0, 0.0173, 0.0865, 0.1, 0.5]) {
      using metric = create(name, model)
      await metric.add(input, maps.mul(0).add(value), { targets, boxes })
      const { perImage } = metric.result()
      t.true(perImage.every(Number.isFinite), perImage.join(' '))
      const expected = ofConstantMap[name]
      if (expected !== undefined)
        t.true(
          perImage.every((v) => Math.abs(v - expected) < 1e-12),
          perImage.join(' '),
        )
    }
  })
}

test('targets that are data score what they say, and a class stands for its probability', async (t) => {
  const { model, input, maps } = await plain()
  const measure = async (targets: MetricTarget, score?: 'logit') => {
    using metric = new Deletion(model, { steps: 3, ...(score ? { score } : {}) })
    await metric.add(input, maps, { targets })
    return metric.result().perImage
  }
  const near = (a: readonly number[], b: readonly number[]) =>
    t.true(farthest(a, b) < 1e-6, `${a.join(' ')} ${b.join(' ')}`)
  const classes = [0, 1, 2, 3, 4, 0]
  near(await measure(classes), await measure({ kind: 'probability', class: classes }))
  near(await measure(classes, 'logit'), await measure({ kind: 'class', class: classes }))
  const minus = [1, 2, 3, 4, 0, 1]
  const [one, other] = [await measure(classes, 'logit'), await measure(minus, 'logit')]
  near(
    await measure({ kind: 'difference', class: classes, minus }),
    one.map((v, i) => v - (other[i] as number)),
  )
  near(await measure({ kind: 'regression', output: 2 }), await measure(2, 'logit'))
  using logits = await model.forward(input)
  const top = Array.from(logits.argmax(1).toTypedArray(), Number)
  near(await measure('argmax'), await measure(top))
})

test('a relative drop is a share of the score, and is refused where a score is negative', async (t) => {
  const { model, input } = await plain()
  const image = input.narrow(0, 0, 1)
  // A map in [0, 1] at the size of the image, so that it is E.
  const map = Tensor.from(
    Float64Array.from({ length: 320 }, (_, i) => (i % 7) / 6),
    [1, 1, 16, 20],
  ).to({ dtype: image.dtype })
  const logitsOf = async (of: Tensor) => Array.from((await model.forward(of)).toTypedArray(), Number)
  const [whole, masked] = [await logitsOf(image), await logitsOf(image.mul(map))]
  const signs = new Set<boolean>()
  for (const [index, of] of whole.entries()) {
    const left = masked[index] as number
    const isShare = of >= 0 && left >= 0
    signs.add(isShare)
    const targets = { kind: 'class', class: index } as const
    for (const name of ['average-drop', 'adcc'] as const) {
      using metric = create(name, model, name === 'adcc' ? { explain: async () => map.clone() } : {})
      const adding = metric.add(image, map, { targets })
      if (!isShare) {
        const error = await t.throwsAsync<GradCamError>(adding, { code: 'ERR_INVALID_ARGUMENT' })
        t.regex(error?.message ?? '', /^The score of image 0( times its map)? is -0\.\d+: a drop relative to a score/)
        continue
      }
      await adding
      const { perImage, curve } = metric.result()
      const drop = name === 'adcc' ? curve[0] : perImage[0]
      t.true(Math.abs((drop as number) - Math.max(0, of - left) / of) < 1e-5, `${name} of class ${index}`)
    }
    using absolute = new AverageDrop(model, { relative: false })
    await absolute.add(image, map, { targets })
    t.true(Math.abs(absolute.result().mean - Math.max(0, of - left)) < 1e-6)
  }
  t.is(signs.size, 2, 'the net has scores of both signs')
})

test('correlations with scores that change by rounding alone are 0', async (t) => {
  const constant = await unusualNets('constant_nets.py')
  for (const name of ['faithfulness-correlation', 'monotonicity-correlation'] as const) {
    // The same net: its image changes the score in the digits that float32 does not have.
    for (const net of ['deaf', 'deaf-double']) {
      using model = await constant.load(net)
      const { both } = constant.batch(net)
      const map = both.abs().narrow(1, 0, 1)
      using metric = metrics[name].create(model, { score: 'logit', samples: 20, batchSize: 7 } as never)
      await metric.add(both, map, { targets: 1 })
      const { perImage } = metric.result()
      for (const value of perImage) t.is(value === 0, net === 'deaf', `${name} of ${net}: ${value}`)
    }
  }
})

test('monotonicity correlation: groups of the same values are equal, whatever the values are', async (t) => {
  const { model, input } = await plain()
  const image = input.narrow(0, 0, 2)
  const measure = async (factor: number) => {
    using metric = metrics['monotonicity-correlation'].create(model, { steps: 40, samples: 2 })
    const levels = Float64Array.from({ length: 640 }, (_, i) => (1 + (i % 2)) * factor)
    await metric.add(image, Tensor.from(levels, [2, 1, 16, 20]), { targets: 0 })
    return metric.result().perImage
  }
  // Sums of whole numbers are exact, and no factor changes their order; those of tenths are rounded.
  t.deepEqual(await measure(0.1), await measure(1))
  t.deepEqual(await measure(1.1), await measure(1))
})

test('a map that knows the one pixel that counts is perfect, and its opposite is the worst', async (t) => {
  // The score of a regression on the sum is that of one pixel where the others are 0.
  const model = await ScriptModule.load(nets.file('pooled_linear'))
  const input = Tensor.zeros([1, 3, 16, 20], { dtype: 'float64' })
  const bright = new Float64Array(320)
  bright[5 * 20 + 7] = 1
  const map = Tensor.from(bright, [1, 1, 16, 20])
  const image = input.add(map.mul(9))
  const box = { x: 7, y: 5, w: 1, h: 1 }
  const whole = await model.forward(image)
  const empty = await model.forward(input)
  const [with0, without0] = [whole, empty].map((logits) => logits.softmax(1).select(1, 0).item()) as [number, number]
  const measure = async (metric: Metric, given: Tensor) => {
    await metric.add(image, given, { targets: 0, boxes: [box] })
    const result = metric.result()
    metric.dispose()
    return result
  }
  const deletion = await measure(new Deletion(model, { steps: 16 }), map)
  t.true(farthest(deletion.curve, [with0, ...Array.from({ length: 16 }, () => without0)]) < 1e-12)
  const last = await measure(new Deletion(model, { steps: 16 }), map.neg())
  t.true(farthest(last.curve, [...Array.from({ length: 16 }, () => with0), without0]) < 1e-12)
  const insertion = await measure(new Insertion(model, { steps: 16, baseline: 'zeros' }), map)
  t.true(farthest(insertion.curve, [without0, ...Array.from({ length: 16 }, () => with0)]) < 1e-12)
  t.is((await measure(new PointingGame(model), map)).mean, 1)
  t.is((await measure(new PointingGame(model), map.neg())).mean, 0)
  t.is((await measure(new EnergyPointingGame(model), map)).mean, 1)
  // Imputed from zeros around it, the pixel is gone; and it stays where the least relevant go.
  const morf = await measure(new Road(model, { order: 'morf', noise: 0, percentiles: [90] }), map)
  t.true(Math.abs(morf.mean - (without0 - with0)) < 1e-9)
})

test('the rank correlation of a map with itself is 1, with its opposite -1, with nothing 0', async (t) => {
  const map = Tensor.from(
    Float32Array.from({ length: 24 }, (_, i) => Math.sin(i)),
    [1, 1, 4, 6],
  )
  const [same, opposite, none] = [map.exp(), map.neg(), map.mul(0)]
  const near = (found: number[], expected: number) => t.true(Math.abs((found[0] as number) - expected) < 1e-12)
  near(await rankCorrelation(map, same), 1)
  near(await rankCorrelation(map, opposite), -1)
  near(await rankCorrelation(map, none), 0)
  near(await rankCorrelation(none, none), 1)
})

test('a randomised copy is another model, the same for the same seed, and leaves the model as it was', async (t) => {
  const { model, input } = await plain()
  const run = async (of: ScriptModule) => Array.from((await of.forward(input)).toTypedArray() as Float32Array)
  const before = await run(model)
  using first = await model.randomized({ seed: 1 })
  using again = await model.randomized({ seed: 1 })
  using other = await model.randomized({ seed: 2 })
  t.deepEqual(await run(again), await run(first))
  t.true(farthest(await run(first), before) > 1e-3)
  t.true(farthest(await run(other), await run(first)) > 1e-3)
  t.deepEqual(await run(model), before)

  // Drawn together or one after the other, from the same seed.
  using both = await model.randomized({ seed: 3, modules: ['head', 'features.7'] })
  using head = await model.randomized({ seed: 3, modules: ['head'] })
  using then = await head.randomized({ seed: 3, modules: ['features.7'] })
  t.deepEqual(await run(then), await run(both))
  t.true(farthest(await run(head), await run(both)) > 1e-3)
  t.is(head.namedModules().length, model.namedModules().length)

  // What comes before the head is untouched.
  const activation = async (of: ScriptModule) => {
    using cam = new Cam(of, { layers: ['features'] })
    await cam.forward(input)
    await cam.backward(0)
    return Array.from(cam.activation('features').toTypedArray() as Float32Array)
  }
  t.deepEqual(await activation(head), await activation(model))
  t.true(farthest(await activation(both), await activation(model)) > 1e-3)

  // The copy outlives the model.
  const copied = await run(first)
  model.dispose()
  t.deepEqual(await run(first), copied)
  await t.throwsAsync(model.randomized(), { code: 'ERR_DISPOSED' })
})

test('what cannot be randomised is refused', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  await t.throwsAsync(model.randomized({ modules: ['haed'] }), { code: 'ERR_LAYER_NOT_FOUND', message: /'head'/ })
  await t.throwsAsync(model.randomized({ modules: ['features.2'] }), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /no parameter/,
  })
  await t.throwsAsync(model.randomized({ modules: [] }), { code: 'ERR_INVALID_ARGUMENT' })
  await t.throwsAsync(model.randomized({ seed: -1 }), { code: 'ERR_INVALID_ARGUMENT' })
  using frozen = await ScriptModule.load(nets.variant('frozen_arithmetic'))
  await t.throwsAsync(frozen.randomized(), { code: 'ERR_MODEL_FROZEN' })
})

test('a cascade has a copy for each module with parameters, from the top; one that is independent of them stays', async (t) => {
  const { model, input, targets, maps } = await plain()
  using cascade = new ParameterRandomization(model, { explain, order: 'cascading' })
  t.deepEqual(cascade.points, ['head', 'features.7', 'features.5', 'features.4', 'features.1', 'features.0'])
  await cascade.add(input, maps, { targets })
  t.true(cascade.result().curve.every((rho) => Math.abs(rho) <= 1 && rho < 0.999))

  // The map is the image's own edges, whatever the model is.
  const blind: ExplainMaps = async (_model, images) => images.mean(1, true)
  using useless = new ParameterRandomization(model, {
    explain: blind,
    order: 'independent',
    modules: ['head', 'features'],
  })
  await useless.add(input, input.mean(1, true), { targets })
  t.true(useless.result().perImage.every((rho) => Math.abs(rho - 1) < 1e-12))

  // What lies after the layer does not change what it shows, what lies before it does.
  const eigen: ExplainMaps = async (evaluated, images, options) => {
    using cam = new Cam(evaluated, { layers: ['features'], methods: ['eigencam'] })
    using found = await cam.explain(images, options)
    return found.cam.clone()
  }
  const own = await eigen(model, input, { target: targets, signal: undefined })
  using behind = new ParameterRandomization(model, {
    explain: eigen,
    order: 'independent',
    modules: ['head', 'features.0'],
  })
  await behind.add(input, own, { targets })
  const [head, first] = behind.result().curve as [number, number]
  t.true(head > 0.9999 && first < 0.99, `${head} ${first}`)
})

test('attributions of all channels have an infidelity, but no order of pixels', async (t) => {
  const { model, input, targets } = await plain()
  using attribution = new InputAttribution(model, { method: 'gradient' })
  using found = await attribution.explain(input, { target: targets })
  using infidelity = create('infidelity', model)
  await infidelity.add(input, found.attribution, { targets })
  t.is(infidelity.result().count, 6)
  using deletion = create('deletion', model)
  await t.throwsAsync(deletion.add(input, found.attribution, { targets }), { code: 'ERR_SHAPE', message: /channel/ })
})

test('masks that say where objects are have the size of the images, and 0 and 1 alone; each image has an object', async (t) => {
  const { model, input, maps, boxes } = await plain()
  const inside = input.select(1, 0).gt(0)
  const empty = Tensor.cat([
    inside.slice(0, 0, 4),
    inside.slice(0, 4, 6).logicalAnd(inside.slice(0, 4, 6).logicalNot()),
  ])
  for (const name of ['relevance-mass-accuracy', 'relevance-rank-accuracy', 'energy-pointing-game'] as const) {
    using metric = create(name, model)
    const refused = async (batch: object, code: string, message: RegExp) =>
      await t.throwsAsync(metric.add(input, maps, batch), { code, message }, name)
    await refused({}, 'ERR_INVALID_ARGUMENT', /not given/)
    await refused({ masks: inside, boxes }, 'ERR_INVALID_ARGUMENT', /`boxes` and `masks`/)
    await refused({ masks: inside.slice(0, 0, 5) }, 'ERR_SHAPE', /here \[6, 16, 20\], but is \[5, 16, 20\]/)
    await refused({ masks: inside.slice(2, 0, 16) }, 'ERR_SHAPE', /\[6, 16, 16\]/)
    await refused({ masks: inside.unsqueeze(1) }, 'ERR_SHAPE', /\[6, 1, 16, 20\]/)
    await refused({ masks: [[[1]]] }, 'ERR_INVALID_ARGUMENT', /Tensor/)
    await refused({ masks: inside.mul(255) }, 'ERR_INVALID_ARGUMENT', /other than 0 and 1/)
    await refused({ masks: inside.div(0) }, 'ERR_INVALID_ARGUMENT', /other than 0 and 1/)
    await refused({ masks: empty }, 'ERR_INVALID_ARGUMENT', /`masks\[4\]` has no pixel/)
    t.throws(() => metric.result(), { code: 'ERR_NO_FORWARD' })
    // Of any dtype.
    const values: (readonly number[])[] = []
    for (const dtype of ['bool', 'uint8', 'int64', 'float32'] as const) {
      using one = create(name, model)
      await one.add(input, maps, { masks: inside.to({ dtype }) })
      values.push(one.result().perImage)
    }
    for (const value of values) t.deepEqual(value, values[0])
  }
})

test('a box is the mask of its pixels, and one beside the image holds nothing', async (t) => {
  const { model, input, maps, boxes } = await plain()
  const rows = Tensor.arange(0, 16).reshape([16, 1])
  const columns = Tensor.arange(0, 20)
  const masks = Tensor.stack(
    boxes.map(({ x, y, w, h }) =>
      [rows.ge(y), rows.lt(y + h), columns.ge(x), columns.lt(x + w)].reduce((all, one) => all.logicalAnd(one)),
    ),
  )
  const measure = async (name: MetricName, batch: object) => {
    using metric = create(name, model)
    await metric.add(input, maps, batch)
    return metric.result().perImage
  }
  for (const name of ['relevance-mass-accuracy', 'relevance-rank-accuracy'] as const) {
    const found = await measure(name, { boxes })
    t.deepEqual(await measure(name, { masks }), found)
    t.true(found.some((value) => value > 0))
    const beside = boxes.map(() => ({ x: 40, y: 0, w: 4, h: 4 }))
    t.true((await measure(name, { boxes: beside })).every((value) => value === 0))
  }
  t.deepEqual(await measure('energy-pointing-game', { boxes }), await measure('relevance-mass-accuracy', { boxes }))
})

test('a subset has no more pixels than an image, and all of them tell nothing', async (t) => {
  const { model, input, targets, maps } = await plain()
  using large = create('faithfulness-correlation', model, { subset: 321 })
  await t.throwsAsync(large.add(input, maps, { targets }), { code: 'ERR_INVALID_ARGUMENT', message: /321 pixels.*320/ })
  using whole = create('faithfulness-correlation', model, { subset: 320 })
  await whole.add(input, maps, { targets })
  t.true(whole.result().perImage.every((value) => value === 0))
})
