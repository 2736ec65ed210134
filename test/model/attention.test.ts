// Attention that a model runs by fused kernels: with derivatives at every layer, and second ones where they are needed. See
// test/python/attention_nets.py for the nets and their values, which eager PyTorch computes without those kernels.
import test from 'ava'
import { Cam, InputAttribution, observeLayers, suggestLayers, type GradCamError } from '../../lib/index.js'
import { assertParity } from '../support/parity.js'
import { unusualNets } from '../support/unusual-nets.js'

const nets = await unusualNets('attention_nets.py')
const target = 1
const reshape = { tokens: 'input' } as const
const sublayers = ['encoder.layers.1.norm1', 'encoder.layers.0.norm2']
const executions = ['auto', 'hooked'] as const

for (const name of ['post-norm', 'pre-norm']) {
  test(`${name}: torch.nn's encoder is differentiable at each of its layers`, async (t) => {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    for (const execution of executions)
      for (const layer of ['encoder.layers.0', 'encoder.layers.1', ...sublayers]) {
        using cam = new Cam(model, { layers: [layer], reshape, execution })
        using found = await cam.explain(both, { target })
        assertParity(t, found.cam, nets.value(name, layer), `${layer}, ${execution}`)
      }
    using hidden = new Cam(model, { layers: ['encoder.layers.1.linear1'], reshape })
    using inner = await hidden.explain(both, { target })
    assertParity(t, inner.cam, nets.value(name, 'linear1'), 'linear1')
  })

  test(`${name}: all sublayers are called, and one of them is suggested`, async (t) => {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    const called = (await observeLayers(model, both)).map(({ path }) => path)
    for (const layer of [...sublayers, 'encoder.layers.0.self_attn', 'encoder.layers.1.linear2'])
      t.true(called.includes(layer), layer)
    const [first] = await suggestLayers(model, both)
    t.deepEqual(first?.reshape, { tokens: 'input', skip: 0 })
  })

  test(`${name}: a trace without gradients, which holds the fused kernel, is differentiable around it`, async (t) => {
    using model = await nets.load(`${name}-traced`)
    const { both } = nets.batch(name)
    for (const execution of executions)
      for (const [layer, options] of [
        ['patches', { reshape }],
        ['encoder.layers.0', { reshape }],
      ] as const) {
        using cam = new Cam(model, { layers: [layer], ...options, execution })
        using found = await cam.explain(both, { target })
        assertParity(t, found.cam, nets.value(name, layer), `${layer}, ${execution}`)
      }
  })
}

for (const net of ['post-norm', 'pre-norm', 'pairs', 'keys', 'pairs-and-keys', 'averaged', 'by-head'])
  for (const name of [net, `${net}-traced`])
    test(`${name}: output, map before attention and gradient at the input`, async (t) => {
      using model = await nets.load(name)
      const { both } = nets.batch(name)
      using output = await model.forward(both)
      assertParity(t, output, nets.value(name, 'output'), 'output')
      using cam = new Cam(model, { layers: ['patches'], reshape })
      using found = await cam.explain(both, { target })
      assertParity(t, found.cam, nets.value(name, 'patches'), 'patches')
      using attribution = new InputAttribution(model, { method: 'saliency' })
      using gradient = await attribution.explain(both, { target })
      assertParity(t, gradient.attribution, nets.value(name, 'saliency'), 'saliency')
    })

for (const kind of ['plain', 'causal', 'flags', 'added'])
  test(`scaled dot-product attention, ${kind}: Shapley-CAM through its second derivative, beside Grad-CAM`, async (t) => {
    const name = `dotted-${kind}`
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    for (const execution of executions) {
      using cam = new Cam(model, { layers: ['patches'], methods: ['gradcam', 'shapleycam'], reshape, execution })
      using found = await cam.explain(both, { target })
      t.deepEqual(found.failures, [])
      assertParity(t, found.get('patches', 'gradcam'), nets.value(name, 'patches'), `Grad-CAM, ${execution}`)
      // Of differences of second derivatives: a digit less than a gradient has.
      assertParity(
        t,
        found.get('patches', 'shapleycam'),
        nets.value(name, 'shapley'),
        `Shapley-CAM, ${execution}`,
        3e-5,
      )
    }
  })

for (const name of ['post-norm', 'post-norm-traced', 'pre-norm', 'pre-norm-traced'])
  test(`${name}: Shapley-CAM through an encoder`, async (t) => {
    using model = await nets.load(name)
    using cam = new Cam(model, { layers: ['encoder.layers.0'], methods: ['shapleycam'], reshape })
    using found = await cam.explain(nets.batch(name).both, { target })
    assertParity(t, found.cam, nets.value(name, 'shapley'), 'Shapley-CAM', 3e-5)
  })

test('a method that fails keeps the maps of the others, and says which operator it fails at', async (t) => {
  using model = await nets.load('distances')
  const { both } = nets.batch('distances')
  using cam = new Cam(model, { layers: ['stem'], methods: ['shapleycam', 'gradcam', 'eigencam'] })
  using found = await cam.explain(both, { target })
  assertParity(t, found.get('stem', 'gradcam'), nets.value('distances', 'stem'), 'Grad-CAM')
  t.deepEqual(
    found.maps.map(({ method }) => method),
    ['gradcam', 'eigencam'],
  )
  const [failure, ...more] = found.failures
  t.deepEqual([failure?.method, more], ['shapleycam', []])
  const error = failure?.error as GradCamError
  t.is(error.code, 'ERR_NO_GRADIENT')
  t.regex(error.message, /second derivative of the score, which _cdist_backward does not have/)
  t.is(
    t.throws(() => found.get('stem', 'shapleycam')),
    error as Error,
  )
  t.is(
    t.throws(() => found.cam),
    error as Error,
  )

  await cam.forward(both)
  await cam.backward(target)
  t.deepEqual(
    cam.failures.map(({ method }) => method),
    ['shapleycam'],
  )
  using map = cam.get('stem', 'gradcam')
  assertParity(t, map, nets.value('distances', 'stem'), 'Grad-CAM after backward')
  t.throws(() => cam.get('stem'), { code: 'ERR_NO_GRADIENT' })

  using augmented = await cam.explain(both, { target, augment: true })
  t.deepEqual(
    augmented.maps.map(({ method }) => method),
    ['gradcam', 'eigencam'],
  )
  t.is(augmented.get('stem', 'eigencam'), augmented.maps[1]!.map)

  using alone = new Cam(model, { layers: ['stem'], methods: ['shapleycam'] })
  await t.throwsAsync(alone.explain(both, { target }), { code: 'ERR_NO_GRADIENT' })
})
