import test from 'ava'
import {
  Cam,
  ScriptModule,
  liveTensors,
  pickLayer,
  suggestLayers,
  type GradCamError,
  type Value,
} from '../../lib/index.js'
import { heldTensors } from '../support/live-tensors.js'
import { densenetReference } from '../support/densenet.js'
import { smallNets } from '../support/models.js'
import { assertParity } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'
import { unusualNets } from '../support/unusual-nets.js'

const nets = await smallNets()
const returned = await unusualNets('returned_nets.py')
const hybrid = await unusualNets('hybrid_nets.py')

const expected: Record<string, readonly string[]> = {
  plain: ['features', 'features.2'],
  vit: ['blocks.1.norm1'], // what follows passes on the class token alone
  channels_last: ['stage'],
}

for (const [net, layers] of Object.entries(expected)) {
  test.serial(`${net}: the layers that are suggested give maps`, async (t) => {
    using model = await ScriptModule.load(nets.file(net))
    using input = toTensor(nets.input(net))
    const before = await heldTensors()
    const suggestions = await suggestLayers(model, input)
    t.is(liveTensors(), before)
    t.deepEqual(
      suggestions.map(({ layer }) => layer),
      layers,
    )
    for (const { layer, reshape, shape, reason } of suggestions) {
      t.regex(reason, /^The last .*\.$/)
      using cam = new Cam(model, { layers: [layer], methods: ['gradcam-elementwise'], ...(reshape ? { reshape } : {}) })
      using found = await cam.explain(input)
      t.deepEqual(found.maps[0]?.layerShape, shape)
      t.deepEqual(
        found.maps[0]?.allZero,
        Array.from({ length: input.shape[0]! }, () => false),
      )
    }
  })
}

test.serial('densenet121: features, then the end of each finer block', async (t) => {
  const peer = await densenetReference()
  using model = await ScriptModule.load(peer.file('densenet121', 'scripted'))
  using input = toTensor(peer.input('densenet121'))
  const suggestions = await suggestLayers(model, input)
  t.deepEqual(
    suggestions.map(({ layer }) => layer),
    [
      'features',
      'features.transition3.conv',
      'features.transition2.conv',
      'features.transition1.conv',
      'features.relu0',
    ],
  )
})

test.serial('a model without spatial outputs has no layers to suggest', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  await t.throwsAsync(suggestLayers(model, input, { signal: AbortSignal.abort() }), { name: 'AbortError', any: true })
  using single = input.slice(3, 0, 1)
  using pixel = single.slice(2, 0, 1)
  await t.throwsAsync(suggestLayers(model, pixel), { code: 'ERR_TORCH' }) // too small for its pooling
})

test('of a model that returns several tensors a layer is suggested that the target depends on', async (t) => {
  const branched = await unusualNets('ways_in_nets.py')
  using model = await branched.load('branches')
  const { one } = branched.batch('branches')
  for (const [of, layer] of [
    [0, 'left'],
    [1, 'right'],
  ] as const) {
    const [first] = await suggestLayers(model, one, { target: { kind: 'class', class: 1, of } })
    t.is(first?.layer, layer)
    t.is((await pickLayer(model, one.shape, { target: { kind: 'class', class: 1, of } })).layer, layer)
  }
})

for (const [net, target, layer] of [
  ['features', 3, 'late'],
  ['pyramid', 3, 'late'],
  ['hidden', 3, 'norm'],
  ['mask', { kind: 'element', at: [3] }, 'only'],
  // The scores of a segmentation before they are enlarged are as little evidence as after.
  ['enlarged', { kind: 'element', at: [3], of: 'out' }, 'classifier.1'],
  ['enlarged_alone', { kind: 'element', at: [3] }, 'classifier.1'],
] as const)
  test(`${net}: what a model returns beside its logits does not keep a layer from being suggested`, async (t) => {
    using model = await returned.load(net)
    const { both } = returned.batch(net)
    const picked = await pickLayer(model, both.shape, { target })
    t.is(picked.layer, layer)
    using cam = new Cam(model, { layers: [layer], ...(picked.reshape ? { reshape: picked.reshape } : {}) })
    using found = await cam.explain<Value>(both, { target })
    assertParity(t, found.cam, returned.value(net, 'cam'), net)
  })

for (const [net, layer] of [
  ['convolutional', 'stages'],
  ['projected', 'norm'],
  ['detached', 'norm'],
] as const)
  test(`${net}: of tokens and [N, C, h, w] that is suggested which is nearest to the class`, async (t) => {
    using model = await hybrid.load(net)
    const { both } = hybrid.batch(net)
    const picked = await pickLayer(model, both.shape)
    t.is(picked.layer, layer)
    using cam = new Cam(model, { layers: [layer], ...(picked.reshape ? { reshape: picked.reshape } : {}) })
    using found = await cam.explain<Value>(both, { target: 3 })
    assertParity(t, found.cam, hybrid.value(net, 'cam'), net)
  })

test('where no layer is suggested the error names those that returned several positions', async (t) => {
  using model = await returned.load('recurrent')
  const { one } = returned.batch('recurrent')
  const error = await t.throwsAsync<GradCamError>(pickLayer(model, one.shape))
  t.is(error.code, 'ERR_LAYER_OUTPUT')
  t.regex(error.message, /those that did are 'lstm' \(\[1, 24, 7\], .*Name a layer, with `reshape` or `part`/)
})
