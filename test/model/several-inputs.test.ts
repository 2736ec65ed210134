// Models of several inputs, layers that run several times, and outputs whose steps come before the images. See
// test/python/several_input_nets.py for the nets, and for their values by eager PyTorch.
import test from 'ava'
import {
  Cam,
  expectedInput,
  explainAll,
  FullGrad,
  GuidedGradCam,
  InputAttribution,
  InputPerturbation,
  makeMapExplainers,
  modelNotes,
  suggestLayers,
  Tensor,
  type GradCamError,
  type MapExplainer,
  type Target,
  type Value,
} from '../../lib/index.js'
import { assertParity } from '../support/parity.js'
import { unusualNets } from '../support/unusual-nets.js'

const nets = await unusualNets('several_input_nets.py')
const target = 1

for (const name of ['pair', 'pair-traced'])
  test(`${name}: each method explains the input and the call that it is told`, async (t) => {
    using model = await nets.load(name)
    const inputs = nets.inputs(name)
    for (const input of [0, 1]) {
      const call = input
      for (const execution of ['auto', 'hooked'] as const) {
        using cam = new Cam(model, { layers: ['encoder'], call, input, execution })
        using found = await cam.explain(inputs, { target })
        assertParity(t, found.cam, nets.value(name, `cam ${input}`), `Grad-CAM ${input} ${execution}`)
        t.is(found.maps[0]?.calls, 2)
      }
      using guided = new GuidedGradCam(model, { layer: 'encoder', call, input })
      using mixed = await guided.explain(inputs, { target })
      assertParity(t, mixed.attribution, nets.value(name, `guided ${input}`), `Guided Grad-CAM ${input}`)
      t.is(mixed.calls, 2)
      using fullGrad = new FullGrad(model, { input })
      using full = await fullGrad.explain(inputs, { target })
      assertParity(t, full.cam, nets.value(name, `fullgrad ${input}`), `FullGrad ${input}`)
      using gradient = new InputAttribution(model, { method: 'gradient', input })
      using attributed = await gradient.explain(inputs, { target })
      assertParity(t, attributed.attribution, nets.value(name, `gradient ${input}`), `gradient ${input}`)
    }
  })

test('biases of another input do not take part in FullGrad', async (t) => {
  using model = await nets.load('depth')
  const inputs = nets.inputs('depth')
  for (const input of [0, 1]) {
    using fullGrad = new FullGrad(model, { input })
    using full = await fullGrad.explain(inputs, { target })
    assertParity(t, full.cam, nets.value('depth', `fullgrad ${input}`), `FullGrad ${input}`)
    using guided = new GuidedGradCam(model, { layer: ['colours', 'depth'][input] as string, input })
    using mixed = await guided.explain(inputs, { target })
    assertParity(t, mixed.attribution, nets.value('depth', `guided ${input}`), `Guided Grad-CAM ${input}`)
  }
  for (const input of [-1, 0.5]) t.throws(() => new FullGrad(model, { input }), { code: 'ERR_INVALID_ARGUMENT' })
})

test('FullGrad counts the bias of each call of a layer', async (t) => {
  using model = await nets.load('twice')
  const { both } = nets.batch('twice')
  using fullGrad = new FullGrad(model)
  using full = await fullGrad.explain(both, { target })
  assertParity(t, full.cam, nets.value('twice', 'fullgrad'), 'FullGrad')
})

test('the channels of each input are those of the convolution that sees it', async (t) => {
  for (const [name, expected] of [
    ['pair', [3, 3]],
    ['depth', [3, 1]],
    ['view-of-four', [null]],
    ['channels-last', [null]],
    ['twice', [3]],
  ] as const) {
    using model = await nets.load(name)
    t.deepEqual(
      expected.map((_, input) => expectedInput(model, input).channels),
      [...expected],
      name,
    )
  }
})

const targets: [string, Target<Value>, string][] = [
  ['steps', { kind: 'element', at: [1, 1], imageDim: 1 }, 'step 1'],
  ['steps', { kind: 'element', at: [], imageDim: 1 }, 'sum'],
  ['steps-traced', { kind: 'element', at: [1, 1], imageDim: 1 }, 'step 1'],
  ['steps-table', { kind: 'class', class: 1, imageDim: 1 }, 'step 1'],
  ['steps-table-traced', { kind: 'class', class: [1, 1], imageDim: 1 }, 'step 1'],
  ['steps-part', { kind: 'element', at: [1, 1], of: 'steps', imageDim: 1 }, 'step 1'],
]
for (const [name, aim, value] of targets)
  test(`${name}: ${JSON.stringify(aim)}`, async (t) => {
    using model = await nets.load(name)
    const [both, square] = nets.inputs(name) as [Tensor, Tensor]
    const explain = async (input: Tensor, which: Target<Value>) => {
      using cam = new Cam(model, { layers: ['stem'] })
      return await cam.explain<Value>(input, { target: which })
    }
    using found = await explain(both, aim)
    assertParity(t, found.cam, nets.value(name, value), value)
    t.is(found.scores.length, 2)
    const alone = both.slice(0, 0, 1).clone()
    using first = await explain(
      alone,
      Array.isArray((aim as { class?: unknown }).class) ? ({ ...(aim as object), class: 1 } as never) : aim,
    )
    t.true(Math.abs((first.scores[0] ?? NaN) - (found.scores[0] ?? NaN)) < 1e-5)
    if (value === 'step 1') {
      // As many steps as images.
      using same = await explain(square, aim)
      assertParity(t, same.cam, nets.value(name, 'square'), 'square')
    }
    const { imageDim: _, ...without } = aim as { imageDim: number }
    for (const input of [both, square, alone]) {
      const error = await t.throwsAsync<GradCamError>(explain(input, without as Target<Value>))
      t.true(['ERR_BATCH_SIZE', 'ERR_TARGET'].includes(error.code), error.code)
      t.regex(error.message, /imageDim: 1/)
    }
  })

test('steps before images: methods that run the model again, and batches', async (t) => {
  using model = await nets.load('steps')
  const [both, square] = nets.inputs('steps') as [Tensor, Tensor]
  const aim = { kind: 'element', at: [1, 1], imageDim: 1 } as const
  using occlusion = new InputPerturbation(model, { method: 'occlusion', window: [8, 8] })
  using covered = await occlusion.explain(both, { target: aim })
  using single = await occlusion.explain(both.slice(0, 1, 2), { target: aim })
  using second = covered.attribution.slice(0, 1, 2)
  assertParity(
    t,
    second,
    { shape: [...single.shape], data: single.attribution.toTypedArray() as Float32Array },
    'occlusion',
  )
  using ablation = new Cam(model, { layers: ['stem'], methods: ['ablationcam'], chunkSize: 2 })
  using ablated = await ablation.explain(both, { target: aim })
  t.deepEqual(ablated.cam.shape, [2, 1, 8, 12])

  const rows = [0, 1].map((i) => square.slice(0, i, i + 1).squeeze(0))
  const expected = nets.value('steps', 'square')
  const each = expected.data.length / 2
  for await (using result of explainAll(rows, { model, layer: 'stem', target: aim, batchSize: 2 })) {
    if (!result.ok) throw result.error
    t.deepEqual(result.top, [])
    const shape = [1, ...expected.shape.slice(1)]
    const data = expected.data.slice(result.index * each, (result.index + 1) * each)
    assertParity(t, result.map, { shape, data }, String(result.index))
  }
  // Without it a batch of two would look right.
  for await (using result of explainAll(rows, {
    model,
    layer: 'stem',
    target: { kind: 'element', at: [1] },
    batchSize: 2,
  })) {
    t.false(result.ok)
    if (!result.ok) t.regex((result.error as Error).message, /imageDim: 1/)
  }
  for (const imageDim of [-1, 0.5, '1'])
    await t.throwsAsync(occlusion.explain(both, { target: { ...aim, imageDim } as never }), { code: 'ERR_TARGET' })
  using cam = new Cam(model, { layers: ['stem'] })
  await t.throwsAsync(cam.explain(both.slice(0, 0, 1), { target: { ...aim, imageDim: 3 } }), {
    message: /dimension 3 counts the images/,
  })
})

test('a key that an input of the model lacks is named, with those that are there', async (t) => {
  using model = await nets.load('keyed')
  const [image, age] = nets.inputs('keyed') as [Tensor, Tensor]
  using logits = await model.forward([{ image, age }])
  t.deepEqual(logits.shape, [2, 5])
  for (const run of [
    () => model.forward([{ image }]),
    async () => {
      using cam = new Cam(model, { layers: ['stem'] })
      await cam.explain([{ image }], { target })
    },
  ]) {
    const error = await t.throwsAsync<GradCamError>(run)
    t.is(error.code, 'ERR_INVALID_ARGUMENT')
    t.regex(error.message, /the key 'age' .* Its input 'given' has the keys 'image'\./)
    t.deepEqual(error.details, { input: 'given', key: 'age' })
  }
})

test('a layer that sees parts of each image is not suggested, and refused by its rows', async (t) => {
  using model = await nets.load('windows')
  const { both, one } = nets.batch('windows')
  for (const input of [both, one])
    t.deepEqual(
      (await suggestLayers(model, input)).map(({ layer }) => layer),
      ['stem'],
    )
  using cam = new Cam(model, { layers: ['stem'] })
  using found = await cam.explain(both, { target })
  assertParity(t, found.cam, nets.value('windows', 'stem'), 'stem')
  using parts = new Cam(model, { layers: ['quarters'] })
  await t.throwsAsync(parts.explain(both, { target }), { code: 'ERR_BATCH_SIZE', message: /8 rows for 2 images/ })
  await t.throwsAsync(parts.explain(one, { target }), { code: 'ERR_LAYER_OUTPUT', message: /4 rows for 1 image/ })
})

test('a dropout that evaluation skips by its probability is not random', async (t) => {
  using model = await nets.load('heads')
  t.deepEqual(modelNotes(model), [])
})

test('where no ReLU is on the way from an input, guided backprop says that, and not that there is none', async (t) => {
  using model = await nets.load('depth')
  const [image, depth] = nets.inputs('depth') as [Tensor, Tensor]
  using guided = new InputAttribution(model, { method: 'guided-backprop', input: 1 })
  using found = await guided.explain([image, depth], { target })
  t.is(found.intercepted, 1)
  using sigmoid = await nets.load('heads')
  using none = new InputAttribution(sigmoid, { method: 'guided-backprop' })
  await t.throwsAsync(none.explain(image, { target }), {
    message: /^Guided backprop found no ReLU between the input and the score/,
  })
  using deconvnet = new InputAttribution(sigmoid, { method: 'deconvnet' })
  await t.throwsAsync(deconvnet.explain(image, { target }), { message: /^Deconvnet found no ReLU/ })
})

test('an input whose channels come last: maps of its rows and columns, or a refusal', async (t) => {
  const name = 'channels-last'
  using model = await nets.load(name)
  const { both } = nets.batch(name)
  for (const [compat, method, value] of [
    ['paper', 'gradcam', 'cam'],
    ['pytorch-grad-cam', 'gradcam', 'large'],
    ['captum', 'scorecam', 'masked'],
  ] as const) {
    using cam = new Cam(model, { layers: ['stem'], methods: [method], compat })
    using found = await cam.explain(both, { target })
    assertParity(t, found.get(), nets.value(name, value), value)
  }
  using guided = new GuidedGradCam(model, { layer: 'stem' })
  using mixed = await guided.explain(both, { target })
  assertParity(t, mixed.attribution, nets.value(name, 'guided'), 'Guided Grad-CAM')
  t.is((await suggestLayers(model, both))[0]?.layer, 'stem')
  using fullGrad = new FullGrad(model)
  await t.throwsAsync(fullGrad.explain(both, { target }), { code: 'ERR_SHAPE', message: /channels come first/ })
  for (const method of ['rise', 'occlusion'] as const) {
    using changed = new InputPerturbation(model, { method })
    await t.throwsAsync(changed.explain(both, { target }), { code: 'ERR_SHAPE', message: /come last/ })
  }
  using windows = new InputPerturbation(model, { method: 'occlusion', window: [8, 8, 3], stride: [8, 8, 3] })
  using covered = await windows.explain(both, { target })
  t.deepEqual(covered.shape, both.shape)
})

/** The five images of a net of images and a table, each by itself. */
function imagesAndTable(name: string): { images: Tensor[]; table: Tensor } {
  const [five, table] = nets.inputs(name) as [Tensor, Tensor]
  return { images: [0, 1, 2, 3, 4].map((i) => five.slice(0, i, i + 1)), table }
}

test('a table of as many rows as a batch has images is not split among the images', async (t) => {
  using model = await nets.load('queries')
  const { images, table } = imagesAndTable('queries')
  const inputs = [null, table] as const
  // Of three queries: batches of exactly three images are those that could be taken for pairs.
  for (const batchSize of [1, 2, 3, 4, 5]) {
    const options = { model, target, batchSize, inputs, maxWait: Infinity } as const
    let i = 0
    for await (const result of explainAll(
      images.map((tensor) => ({ tensor: tensor.squeeze(0) })),
      { ...options, layer: 'encoder' },
    )) {
      if (!result.ok) throw result.error
      const { data, shape } = nets.value('queries', 'cam')
      const each = data.length / 5
      const expected = { data: data.slice(i * each, (i + 1) * each), shape: [1, ...shape.slice(1)] }
      assertParity(t, result.map, expected, `image ${i} of batches of ${batchSize}`)
      result.dispose()
      i++
    }
    t.is(i, 5)
  }
  using explainer = makeMapExplainers(model, ['gradcam'], ['encoder'], { inputs })[0] as MapExplainer
  using three = Tensor.cat(images.slice(0, 3))
  await t.throwsAsync(explainer.explain(three, { target }), { code: 'ERR_BATCH_SIZE', message: /3 rows, as many/ })
})

test('a model that pairs its inputs by rows is refused for a table, in batches of any number of images', async (t) => {
  using model = await nets.load('weighted')
  const { images, table } = imagesAndTable('weighted')
  for (const batchSize of [1, 2, 3, 5]) {
    const found: (string | undefined)[] = []
    for await (const result of explainAll(
      images.map((tensor) => ({ tensor: tensor.squeeze(0) })),
      { model, target, batchSize, inputs: [null, table], layer: 'encoder', maxWait: Infinity },
    )) {
      found.push(result.ok ? 'explained' : (result.error as GradCamError).code)
      result.dispose()
    }
    t.deepEqual(new Set(found), new Set(['ERR_TARGET']), `batches of ${batchSize}`)
  }
})
