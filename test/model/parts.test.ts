// Layers that return several tensors, and inputs and outputs of unusual kinds. See test/python/part_nets.py for the nets, and
// for their values by eager PyTorch.
import test from 'ava'
import {
  Cam,
  GuidedGradCam,
  InputAttribution,
  InputPerturbation,
  Tensor,
  disposeValue,
  observeLayers,
  type CamOptions,
  type GradCamError,
  type Value,
} from '../../lib/index.js'
import { assertParity, assertSame } from '../support/parity.js'
import { unusualNets } from '../support/unusual-nets.js'

const nets = await unusualNets('part_nets.py')
const target = 1
const reshape = { tokens: 'input' } as const
const compat = 'captum' // with negative values, as the nets' program gives them
const executions = ['auto', 'hooked'] as const

for (const name of ['lstm', 'gru', 'lstm-traced', 'gru-traced']) {
  test(`${name}: a layer whose forward is overloaded, by its part`, async (t) => {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    for (const execution of executions) {
      using cam = new Cam(model, { compat, layers: ['cell'], part: 0, reshape, execution })
      using found = await cam.explain(both, { target })
      assertParity(t, found.cam, nets.value(name, 'part 0'), execution)
      t.is(found.execution.path, 'hooked')
    }
    using ablation = new Cam(model, { compat, layers: ['cell'], part: [0], methods: ['ablationcam'], reshape })
    using ablated = await ablation.explain(both, { target })
    assertParity(t, ablated.cam, nets.value(name, 'ablation'), 'Ablation-CAM', 1e-4) // of differences of scores
  })

  test(`${name}: it is called, and without a part the error lists what there is`, async (t) => {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    t.true(model.namedModules().find(({ path }) => path === 'cell')?.hookable)
    const seen = await observeLayers(model, both)
    t.regex(seen.find(({ path }) => path === 'cell')?.description ?? '', /^\(\[2, 24, 8\], /)
    using cam = new Cam(model, { compat, layers: ['cell'], reshape })
    const error = await t.throwsAsync<GradCamError>(cam.explain(both, { target }))
    t.is(error.code, 'ERR_LAYER_OUTPUT')
    t.regex(error.message, /'cell' returned a Tuple of several tensors: 0 \[2, 24, 8\], /)
    t.regex(error.remedy ?? '', /`part` .* e\.g\. 0\./)
  })
}

const levels: [string, string, NonNullable<CamOptions['part']>][] = [
  ['dict-pyramid', 'fine', 'fine'],
  ['dict-pyramid', 'coarse', ['coarse']],
  ['list-pyramid', 'fine', 0],
  ['list-pyramid', 'coarse', 1],
  ['named-pyramid', 'fine', 'fine'],
  ['named-pyramid', 'fine', 0],
  ['named-pyramid', 'coarse', ['both', 0]],
]
for (const [name, value, part] of levels)
  test(`${name}: the part ${JSON.stringify(part)}, with what is computed from it inside the layer`, async (t) => {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    using cam = new Cam(model, { compat, layers: ['body'], part })
    using found = await cam.explain(both, { target })
    assertParity(t, found.cam, nets.value(name, value), value)
    t.is(found.maps[0]?.calls, 1)
  })

test('methods that run the model again put their changes into the part', async (t) => {
  using model = await nets.load('dict-pyramid')
  using cam = new Cam(model, { compat, layers: ['body'], part: 'fine', methods: ['ablationcam', 'scorecam'] })
  using found = await cam.explain(nets.batch('dict-pyramid').both, { target })
  assertParity(t, found.cam, nets.value('dict-pyramid', 'ablation of fine'), 'Ablation-CAM', 1e-4)
  t.deepEqual(found.failures, [])
  t.deepEqual(found.get('body', 'scorecam').shape, [2, 1, 8, 12])
})

test('parts that are not there are refused with those that are', async (t) => {
  using model = await nets.load('named-pyramid')
  const { both } = nets.batch('named-pyramid')
  const explain = async (layer: string, part: NonNullable<CamOptions['part']>) => {
    using cam = new Cam(model, { compat, layers: [layer], part })
    await cam.explain(both, { target })
  }
  const missing = await t.throwsAsync<GradCamError>(explain('body', 'none'))
  t.is(missing.code, 'ERR_LAYER_OUTPUT')
  t.regex(missing.message, /no part 'none'\. .*'fine' \[2, 6, 8, 12\], \['both', 0\] \[2, 6, 4, 6\]/)
  const integer = await t.throwsAsync<GradCamError>(explain('body', ['both', 1]))
  t.regex(integer.message, /whose part \['both', 1\] is a Int/)
  const tensor = await t.throwsAsync<GradCamError>(explain('body.a', 0))
  t.regex(tensor.message, /'body\.a' returned one tensor, which has no part 0\. Leave `part` out/)
  for (const part of [NaN, {}, [null], true]) t.throws(() => new Cam(model, { layers: ['body'], part: part as never }))
})

test('a layer that returns one tensor beside other values needs no part', async (t) => {
  using model = await nets.load('sole')
  using cam = new Cam(model, { compat, layers: ['attention'], reshape })
  using found = await cam.explain(nets.batch('sole').both, { target })
  assertParity(t, found.cam, nets.value('sole', 'attention'), 'attention')
})

test('inputs by name, alone and after others', async (t) => {
  using model = await nets.load('keywords')
  const [x, mask] = nets.inputs('keywords') as [Tensor, Tensor]
  const all = { temperature: 2, mask, flip: true }
  const cases: [Value | readonly Value[], string][] = [
    [[x], 'alone'],
    [{ x }, 'alone'],
    [[x, {}], 'alone'],
    [[x, all], 'all'],
    [{ ...all, x }, 'all'],
    [[x, 2, { flip: true, mask }], 'all'],
    [[x, { mask }], 'mask'],
    [[x, 1, mask], 'mask'],
  ]
  for (const execution of executions)
    for (const [inputs, value] of cases) {
      using cam = new Cam(model, { compat, layers: ['stem'], execution })
      using found = await cam.explain(inputs, { target })
      assertParity(t, found.cam, nets.value('keywords', value), `${value}, ${execution}`)
    }
  // All methods read inputs alike.
  using occlusion = new InputPerturbation(model, { method: 'occlusion', window: [8, 8] })
  using plain = await occlusion.explain([x, 2, mask, true], { target })
  using named = await occlusion.explain({ x, ...all }, { target })
  assertSame(
    t,
    named.attribution,
    { shape: [...plain.shape], data: plain.attribution.toTypedArray() as Float32Array },
    '',
  )
  using saliency = new InputAttribution(model, { method: 'integrated-gradients', steps: 4 })
  using attributed = await saliency.explain([x, { temperature: 2 }], { target })
  t.deepEqual(attributed.shape, x.shape)

  const unknown = await t.throwsAsync<GradCamError>(model.forward([x, { temprature: 2 }]))
  t.is(unknown.code, 'ERR_INVALID_ARGUMENT')
  t.regex(
    unknown.message,
    /no input 'temprature'\. It takes x: Tensor, temperature: float, mask: Optional\[Tensor\], flip: bool\./,
  )
  await t.throwsAsync(model.forward([x, { x }]), { message: /'x' was given twice/ })
  await t.throwsAsync(model.forward({ mask }), { message: /'x' \(Tensor\) is missing/ })
})

test('named tuples as inputs: by name, or in order', async (t) => {
  using model = await nets.load('named-input')
  const [image, extra] = nets.inputs('named-input') as [Tensor, Tensor]
  for (const [inputs, value] of [
    [[{ image, extra }], 'plain'],
    [{ image, extra }, 'plain'],
    [[[image, extra]], 'plain'],
    [[{ extra, image }, -2], 'scaled'],
    [[{ image, extra }, { scale: -2 }], 'scaled'],
  ] as [Value, string][]) {
    using cam = new Cam(model, { compat, layers: ['stem'] })
    using found = await cam.explain(inputs, { target })
    assertParity(t, found.cam, nets.value('named-input', value), value)
  }
  await t.throwsAsync(model.forward([{ image }]), { message: /input 'given'\.extra must be a Tensor/ })
  await t.throwsAsync(model.forward([[image]]), { message: /an object with image, extra, or an array of these/ })
})

test('dicts with keys of any type, in and out', async (t) => {
  using model = await nets.load('float-keys')
  const { both } = nets.batch('float-keys')
  using one = Tensor.ones([1])
  using half = Tensor.full([1], -0.5)
  const inputs = [both, { 0.5: one, '2.5': half }]
  const output = await model.forward<Record<string, Tensor>>(inputs)
  t.deepEqual(Object.keys(output).sort(), ['0.5', '2.5'])
  assertParity(t, output['0.5']!, nets.value('float-keys', 'output of half'), '0.5')
  assertParity(t, output['2.5']!, nets.value('float-keys', 'output of two'), '2.5')
  disposeValue(output)
  for (const of of [0.5, '0.5']) {
    // The layer is called for each of the two, in order; 0.5 comes first.
    using cam = new Cam(model, { compat, layers: ['stem'], call: 0 })
    using found = await cam.explain<Value>(inputs, { target: { kind: 'class', class: target, of } })
    t.is(found.maps[0]?.calls, 2)
    assertParity(t, found.cam, nets.value('float-keys', 'half'), String(of))
  }
  await t.throwsAsync(model.forward([both, { half: one }]), { message: /a key of .* must be a number/ })

  for (const [name, of] of [
    ['bool-keys', 'true'],
    ['tensor-keys', 0],
    ['object', [0, 'logits']],
  ] as const) {
    using net = await nets.load(name)
    for (const execution of executions) {
      using cam = new Cam(net, { compat, layers: ['stem'], execution })
      using found = await cam.explain<Value>(nets.batch(name).both, { target: { kind: 'class', class: target, of } })
      assertParity(t, found.cam, nets.value(name, 'stem'), `${name}, ${execution}`)
    }
  }
  using bools = await nets.load('bool-keys')
  const found = await bools.forward<Record<string, Tensor>>(nets.batch('bool-keys').both)
  t.deepEqual(Object.keys(found).sort(), ['false', 'true'])
  disposeValue(found)
  using tensors = await nets.load('tensor-keys')
  const [[key, logits]] = await tensors.forward<[[Tensor, Tensor]]>(nets.batch('tensor-keys').both)
  t.is(key.item(), 1)
  assertParity(t, logits, nets.value('tensor-keys', 'logits'), 'logits')
  disposeValue([key, logits])
})

test('where the layer is not on the way to the score, the methods that need no gradient keep their maps', async (t) => {
  using model = await nets.load('bool-keys')
  const { both } = nets.batch('bool-keys')
  const aside = { kind: 'class', class: 0, of: 'false' } as const
  using cam = new Cam(model, { layers: ['stem'], methods: ['gradcam', 'eigencam', 'layercam'] })
  using found = await cam.explain<Value>(both, { target: aside })
  t.deepEqual(
    found.failures.map(({ method, error }) => [method, (error as GradCamError).code]),
    [
      ['gradcam', 'ERR_NO_GRADIENT'],
      ['layercam', 'ERR_NO_GRADIENT'],
    ],
  )
  using alone = new Cam(model, { layers: ['stem'], methods: ['eigencam'] })
  using expected = await alone.explain<Value>(both, { target: aside })
  const { shape } = expected.cam
  assertSame(
    t,
    found.get('stem', 'eigencam'),
    { shape: [...shape], data: expected.cam.toTypedArray() as Float32Array },
    '',
  )
  using gradients = new Cam(model, { layers: ['stem'], methods: ['gradcam', 'layercam'] })
  await t.throwsAsync(gradients.explain<Value>(both, { target: aside }), { code: 'ERR_NO_GRADIENT' })
})

test('an object as output is an object of its attributes', async (t) => {
  using model = await nets.load('object')
  const { both } = nets.batch('object')
  const output = await model.forward<readonly Value[]>(both)
  const [answer, number] = output as readonly [Readonly<Record<string, Value>>, number]
  assertParity(t, answer['logits'] as Tensor, nets.value('object', 'logits'), 'logits')
  t.deepEqual([answer['name'], answer['weight'], number], ['first', { real: 1, imag: 2 }, 7])
  disposeValue(output)
  using cam = new Cam(model, { compat, layers: ['stem'] })
  const error = await t.throwsAsync<GradCamError>(
    cam.explain<Value>(both, { target: { kind: 'class', class: 1, of: [0, 'none'] } }),
  )
  t.regex(error.message, /no part 'none': it is a Object of logits, name, weight\./)
})

test('a model that takes a list of images also takes them as one tensor, with every method', async (t) => {
  using model = await nets.load('image-list')
  const { both } = nets.batch('image-list')
  using first = both.select(0, 0)
  using second = both.select(0, 1)
  using fromList = await model.forward([[first, second]])
  assertParity(t, fromList, nets.value('image-list', 'logits'), 'a list')
  using fromTensor = await model.forward(both)
  assertParity(t, fromTensor, nets.value('image-list', 'logits'), 'a tensor')
  // The layer is called once for each image: of one image there is one call.
  for (const execution of executions)
    for (const [i, image] of [first, second].entries()) {
      using one = image.unsqueeze(0)
      using cam = new Cam(model, { compat, layers: ['stem'], execution })
      using found = await cam.explain(one, { target })
      using list = await cam.explain([[image]], { target })
      const { shape, data } = nets.value('image-list', 'stem')
      const size = data.length / 2
      const expected = { shape: [1, ...shape.slice(1)], data: data.slice(i * size, (i + 1) * size) as Float32Array }
      assertParity(t, found.cam, expected, `image ${i}, ${execution}`)
      assertParity(t, list.cam, expected, `image ${i} in a list, ${execution}`)
    }
  using rise = new InputPerturbation(model, { method: 'rise', masks: 6 })
  using masked = await rise.explain(both, { target })
  t.deepEqual(masked.shape, both.shape)
  using saliency = new InputAttribution(model, { method: 'saliency' })
  using attributed = await saliency.explain(both, { target })
  t.deepEqual(attributed.shape, both.shape)
  using mixed = new GuidedGradCam(model, { layer: 'stem' })
  using one = both.slice(0, 0, 1).clone()
  using product = await mixed.explain(one, { target })
  t.deepEqual(product.attribution.shape, one.shape)
})
