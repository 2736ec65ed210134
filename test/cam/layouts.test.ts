// Layers whose outputs are not [N, C, h, w], several inputs, and layers that run several times.
import test from 'ava'
import { Cam, InputAttribution, InputPerturbation, pickLayer, type GradCamError } from '../../lib/index.js'
import { native } from '../../lib/addon/native.js'
import { assertDifferences, assertParity } from '../support/parity.js'
import { unusualNets } from '../support/unusual-nets.js'
import { gradcam } from '../support/package-copy.js'

const nets = await unusualNets()
const target = 1

for (const [name, reshape] of [
  ['tokens', { tokens: 'input', skip: 2 }],
  ['channels-last', 'swin'],
] as const) {
  test(`${name}: the layer that is picked has its reshape; without one the layer is refused`, async (t) => {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    const picked = await pickLayer(model, [1, 3, 16, 24])
    t.like(picked, { layer: 'norm', reshape })
    using cam = new Cam(model, { layers: [picked.layer], reshape: picked.reshape as typeof reshape })
    using found = await cam.explain(both, { target })
    assertParity(t, found.cam, nets.value(name, 'norm'), 'norm')
    for (const compat of ['paper', 'pytorch-grad-cam'] as const) {
      using without = new Cam(model, { layers: ['norm'], compat })
      const error = await t.throwsAsync<GradCamError>(() => without.explain(both, { target }))
      t.is(error.code, 'ERR_LAYER_OUTPUT')
      t.regex(error.message, name === 'tokens' ? /'vit' for tokens/ : /'swin' for \[N, h, w, C\]/)
    }
  })

  test(`${name}: every command uses the same layer with the same reshape`, (t) => {
    const file = nets.file(name)
    const flag = typeof reshape === 'string' ? reshape : JSON.stringify(reshape)
    const layers = JSON.parse(gradcam(['layers', file, '--size', '16x24', '--json']).stdout) as object
    t.like(layers, { suggestedLayer: 'norm', suggestedReshape: reshape })
    const doctor = gradcam(['doctor', file, '--size', '16x24']).stdout
    t.regex(doctor, /at norm +split/)
    t.regex(gradcam(['doctor', file, '--size', '16x24', '--layer', 'norm']).stdout, /Say by `reshape`/)
    const chosen = gradcam(['doctor', file, '--size', '16x24', '--layer', 'norm', '--reshape', flag]).stdout
    t.regex(chosen, /at norm +split/)
  })
}

test('layouts: by the proportions of the input', (t) => {
  const { layoutOf } = native()
  t.is(layoutOf([1, 7, 7, 768], [224, 224]), 'channels-last')
  t.is(layoutOf([1, 768, 7, 7], [224, 224]), 'channels-first')
  t.is(layoutOf([1, 8, 13, 21], [32, 48]), 'channels-first', 'borders were cut off')
  t.is(layoutOf([1, 8, 12, 20], [32, 48]), 'channels-first', 'channels and rows by chance in proportion')
  t.is(layoutOf([1, 1, 1, 512], [32, 32]), 'channels-first', 'no positions')
  t.is(layoutOf([1, 197, 192], [224, 224]), 'tokens')
  t.is(layoutOf([1, 8, 50], [400]), 'channels-first', 'an input without rows')
  t.is(layoutOf([1, 8, 4, 5, 5], [16, 20, 20]), 'channels-first')
})

test('a layer that runs twice is explained at the call that is asked for', async (t) => {
  using model = await nets.load('pair')
  const inputs = nets.inputs('pair')
  for (const [call, expected] of [
    [0, 'first'],
    [1, 'last'],
    [undefined, 'last'],
  ] as const) {
    using cam = new Cam(model, { layers: ['stem'], ...(call !== undefined && { call }) })
    using found = await cam.explain(inputs, { target })
    assertParity(t, found.cam, nets.value('pair', expected), `call ${call}`)
    t.is(found.maps[0]?.calls, 2)
  }
  using beyond = new Cam(model, { layers: ['stem'], call: 2 })
  const error = await t.throwsAsync<GradCamError>(() => beyond.explain(inputs, { target }))
  t.is(error.code, 'ERR_LAYER_NOT_REACHED')
  t.regex(error.message, /called layer 'stem' 2 times: call 2, counted from 0, does not exist/)
})

test('methods of the input explain the input that is asked for', async (t) => {
  using model = await nets.load('pair')
  const inputs = nets.inputs('pair')
  for (const [input, name] of [
    [1, 'a'],
    [2, 'b'],
  ] as const) {
    using gradient = new InputAttribution(model, { method: 'gradient', input })
    using found = await gradient.explain(inputs, { target })
    assertParity(t, found.attribution, nets.value('pair', `gradient of ${name}`), name)
  }
  using occlusion = new InputPerturbation(model, { method: 'occlusion', window: [8, 8], stride: [8, 8], input: 2 })
  using occluded = await occlusion.explain(inputs, { target })
  assertDifferences(
    t,
    occluded.attribution,
    nets.value('pair', 'occlusion'),
    nets.value('pair', 'scores'),
    'occlusion of b',
  )
})

test('Score-CAM and Ablation-CAM refuse a layer that runs several times until they know which call', async (t) => {
  using model = await nets.load('pair')
  const inputs = nets.inputs('pair')
  for (const method of ['scorecam', 'ablationcam'] as const) {
    using unsaid = new Cam(model, { layers: ['stem'], methods: [method], input: 1 })
    const error = await t.throwsAsync<GradCamError>(() => unsaid.explain(inputs, { target }))
    t.regex(error.message, /2 times, so it must be said which call/)
    using half = new Cam(model, { layers: ['stem'], methods: [method], call: 1 })
    const missing = await t.throwsAsync<GradCamError>(() => half.explain(inputs, { target }))
    t.regex(missing.message, /and which input it changes/)
    const sums: number[] = []
    for (const call of [0, 1]) {
      using said = new Cam(model, { layers: ['stem'], methods: [method], input: 1 + call, call })
      using found = await said.explain(inputs, { target })
      sums.push(found.cam.sum().item())
    }
    t.not(sums[0], sums[1])
  }
  using upsampled = new Cam(model, { layers: ['stem'], compat: 'pytorch-grad-cam', input: 1, call: 0 })
  using found = await upsampled.explain(inputs, { target })
  t.deepEqual(found.cam.shape, [2, 1, 16, 16])
})
