// Nets that users bring: where their features are, what they return, and why they are refused. See test/python/user_nets.py.
import test from 'ava'
import {
  Cam,
  GuidedBackprop,
  InputAttribution,
  lastSpatialLayer,
  observeLayers,
  suggestLayers,
  Tensor,
  type CamOptions,
  type GradCamError,
  type TargetData,
} from '../../lib/index.js'
import { assertParity } from '../support/parity.js'
import { unusualNets } from '../support/unusual-nets.js'
import { gradcam } from '../support/package-copy.js'

const nets = await unusualNets('user_nets.py')
const target = 1

const layouts: Record<string, { layer: string; reshape?: CamOptions['reshape']; target?: TargetData }> = {
  speech: { layer: 'mix', reshape: { permute: [0, 2, 1] }, target: { kind: 'element', at: [3, 1] } },
  'last-volume': { layer: 'block', reshape: { permute: [0, 4, 1, 2, 3] } },
  'last-image': { layer: 'block', reshape: 'swin' },
  columns: { layer: 'columns' },
  'linear-norm': { layer: 'blocks', reshape: { tokens: 'input', skip: 0 } },
  'pre-norm': { layer: 'blocks.1.branch.norm', reshape: { tokens: 'input', skip: 0 } },
  gated: { layer: 'gate' },
}

for (const [name, { layer, reshape, target: asked = target }] of Object.entries(layouts)) {
  test(`${name}: the layer that is suggested says where its features are`, async (t) => {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    const [best] = await suggestLayers(model, both, { target: asked })
    t.like(best, { layer, reshape })
    using cam = new Cam(model, { layers: [layer], ...(reshape && { reshape }) })
    using found = await cam.explain(both, { target: asked })
    assertParity(t, found.cam, nets.value(name, layer), layer)
    if (!reshape) return
    using without = new Cam(model, { layers: [layer] })
    const error = await t.throwsAsync<GradCamError>(() => without.explain(both, { target: asked }))
    t.is(error.code, 'ERR_LAYER_OUTPUT')
    if (typeof reshape === 'object' && 'tokens' in reshape) {
      t.regex(error.message, /\{ tokens: 'input', skip: 0 \}/)
      return
    }
    t.regex(error.message, /whose last dimension is its features, by the layer's parameters/)
    t.true(
      error.remedy?.includes(
        typeof reshape === 'string' ? `'${reshape}'` : (reshape as { permute: number[] }).permute.join(', '),
      ),
    )
  })
}

test('staged: layers of a stage whose features come last are not suggested as a finer grid', async (t) => {
  using model = await nets.load('staged')
  const { both } = nets.batch('staged')
  const suggested = (await suggestLayers(model, both)).map(({ layer }) => layer)
  t.deepEqual(suggested, ['stage', 'stem'])
  using cam = new Cam(model, { layers: suggested })
  using found = await cam.explain(both, { target })
  for (const layer of suggested) assertParity(t, found.get(layer), nets.value('staged', layer), layer)
})

test('speech: a convolution of the same signal has its channels before the steps', async (t) => {
  using model = await nets.load('speech')
  const { both } = nets.batch('speech')
  using cam = new Cam(model, { layers: ['stem'] })
  using found = await cam.explain(both, { target: { kind: 'element', at: [3, 1] } })
  assertParity(t, found.cam, nets.value('speech', 'stem'), 'stem')
})

test('a layer of complex numbers is refused as such, and is not suggested', async (t) => {
  using model = await nets.load('filtered')
  const { both } = nets.batch('filtered')
  t.is((await suggestLayers(model, both))[0]?.layer, 'stem')
  t.is(lastSpatialLayer(await observeLayers(model, both))?.path, 'stem')
  using stem = new Cam(model, { layers: ['stem'] })
  using found = await stem.explain(both, { target })
  assertParity(t, found.cam, nets.value('filtered', 'stem'), 'stem')
  using cam = new Cam(model, { layers: ['spectrum'] })
  const error = await t.throwsAsync<GradCamError>(() => cam.explain(both, { target }))
  t.is(error.code, 'ERR_LAYER_OUTPUT')
  t.regex(error.message, /'spectrum' returned a tensor of complex numbers/)
})

test('a quantized layer is refused as such, and is not suggested', async (t) => {
  using model = await nets.load('quantized')
  const { both } = nets.batch('quantized')
  t.is((await suggestLayers(model, both))[0]?.layer, 'last')
  using cam = new Cam(model, { layers: ['stem'], methods: ['eigencam'] })
  const error = await t.throwsAsync<GradCamError>(() => cam.explain(both))
  t.regex(error.message, /'stem' returned a quantized tensor/)
})

test('complex scores are refused by every target of classes and elements', async (t) => {
  using model = await nets.load('complex-scores')
  const { both } = nets.batch('complex-scores')
  const targets = ['argmax', 1, { kind: 'probability', class: 1 }, { kind: 'element', at: [1] }] as const
  for (const each of targets) {
    using cam = new Cam(model, { layers: ['stem'] })
    const error = await t.throwsAsync<GradCamError>(() => cam.explain(both, { target: each }))
    t.is(error.code, 'ERR_TARGET')
    t.regex(error.message, /complex numbers, \[2, 5\]/)
  }
})

test('an output without classes is not called an empty batch', async (t) => {
  using model = await nets.load('no-classes')
  using attribution = new InputAttribution(model, { method: 'gradient' })
  const error = await t.throwsAsync<GradCamError>(() => attribution.explain(nets.batch('no-classes').both))
  t.is(error.code, 'ERR_TARGET')
  t.regex(error.message, /no logits, \[2, 0\]: it has no classes/)
})

test('a batch that a traced model does not take is refused as a batch; one image of it is explained', async (t) => {
  using model = await nets.load('baked')
  const { both, one } = nets.batch('baked')
  using cam = new Cam(model, { layers: ['stem'] })
  const error = await t.throwsAsync<GradCamError>(() => cam.explain(both, { target }))
  t.is(error.code, 'ERR_BATCH_SIZE')
  t.regex(error.message, /runs on one image, but not on 2 together: .*shapes/)
  using found = await cam.explain(one, { target })
  t.is(found.maps[0]?.conditions[0]?.state, 'ok')
})

const parts: Record<string, readonly (string | number)[] | undefined> = {
  'mixed-dict': ['pair', 0],
  'dict-of-lists': ['main', 0],
  'deep-dict': ['a', 'b', 'c'],
  'list-of-dicts': [1, 'y', 0],
  'hidden-states': undefined,
}

for (const [name, of] of Object.entries(parts)) {
  test(`${name}: a program's nested output keeps its names`, async (t) => {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    for (const execution of ['auto', 'hooked'] as const) {
      using cam = new Cam(model, { layers: ['stem'], execution })
      using found = await cam.explain(both, { target: { kind: 'class', class: target, ...(of && { of }) } })
      assertParity(t, found.cam, nets.value(name, 'stem'), execution)
      t.deepEqual(found.warnings, [])
    }
  })
}

test('a layer that an exported program does not keep is not called a container', async (t) => {
  using model = await nets.load('mixed-dict')
  const error = t.throws<GradCamError>(() => new Cam(model, { layers: ['kept'] }))
  t.is(error.code, 'ERR_LAYER_NOT_HOOKABLE')
  t.regex(error.message, /'kept' \(\w+\) has no code in the file/)
  t.regex(gradcam(['layers', nets.file('mixed-dict')]).stdout, /kept .*no code in the file/)
})

test('a score that overflowed is said of every attribution that needs it, also where its gradient is finite', async (t) => {
  using model = await nets.load('overflow')
  const { both } = nets.batch('overflow')
  for (const method of ['gradient', 'integrated-gradients'] as const) {
    using attribution = new InputAttribution(model, { method, ...(method !== 'gradient' && { steps: 4 }) })
    using found = await attribution.explain(both, { target })
    t.is(found.conditions[0]?.state, 'not-finite', method)
    t.regex(found.conditions[0]?.reason ?? '', /float16 overflows beyond 65504/)
  }
  using cam = new Cam(model, { layers: ['stem'], methods: ['gradcam', 'layercam', 'eigencam'] })
  using found = await cam.explain(both, { target })
  t.deepEqual(
    found.maps.map(({ conditions }) => conditions[0]?.state),
    ['not-finite', 'not-finite', 'ok'],
    'Eigen-CAM needs no score',
  )
})

test('a zero attribution is put down to a missing gradient only where there is none', async (t) => {
  using model = await nets.load('against')
  const { both } = nets.batch('against')
  using gradient = new InputAttribution(model, { method: 'gradient' })
  using plain = await gradient.explain(both, { target })
  assertParity(t, plain.attribution, nets.value('against', 'gradient'), 'gradient')
  using guided = new GuidedBackprop(model)
  using ruled = await guided.explain(both, { target })
  t.like(ruled.conditions[0], { state: 'zero' })
  t.regex(ruled.conditions[0]?.reason ?? '', /or the rule of the method lets none through/)
  using black = Tensor.zeros([1, 3, 16, 24])
  using integrated = new InputAttribution(model, { method: 'integrated-gradients', steps: 4 })
  using nothing = await integrated.explain(black, { target })
  t.like(nothing.conditions[0], { state: 'zero' })
  t.regex(nothing.conditions[0]?.reason ?? '', /or the input is as the baseline/)
})
