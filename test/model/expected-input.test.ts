// What a model takes: channels, spatial dimensions and types, against eager PyTorch, and the errors of what does not fit.
import test from 'ava'
import {
  Cam,
  expectedInput,
  GuidedBackprop,
  InputAttribution,
  InputPerturbation,
  manualSeed,
  pickLayer,
  suggestLayers,
  Tensor,
  type GradCamError,
  type Value,
} from '../../lib/index.js'
import { gradcam } from '../support/package-copy.js'
import { assertParity } from '../support/parity.js'
import { unusualNets } from '../support/unusual-nets.js'

manualSeed(0)

const nets = await unusualNets('ways_in_nets.py')

for (const [name, channels, dimensions] of [
  ['grey', 1, 2],
  ['five', 5, 2],
  ['scaled', 8, 2],
  ['luma', null, null],
  ['dense', 3, 2],
  ['volume', 2, 3],
  ['signal', 2, 1],
] as const)
  test(`${name}: channels and dimensions are those of the first convolution, where it sees the input`, async (t) => {
    using model = await nets.load(name)
    t.like(expectedInput(model), { channels, dimensions, dtype: 'float32' })
    const inputs = nets.inputs(name) as [Tensor]
    if (name === 'dense') return
    for (const execution of ['auto', 'hooked'] as const) {
      using cam = new Cam(model, { layers: ['stem'], execution })
      using found = await cam.explain(inputs[0], { target: 1 })
      assertParity(t, found.cam, nets.value(name, 'class 1'), execution)
    }
    const [picked] = await suggestLayers(model, inputs[0])
    t.is(picked?.layer, 'stem')
    const { layer } = await pickLayer(model, [1, ...inputs[0].shape.slice(1)])
    t.is(layer, 'stem')
  })

/** How far maps may be from those of eager PyTorch in the same type: by a few roundings of it, in sums of 60 terms. */
const roundings = { float16: 60 * 2 ** -11, bfloat16: 60 * 2 ** -8, float64: 1e-12 } as const

for (const dtype of ['float16', 'bfloat16', 'float64'] as const)
  test(`${dtype}: inputs are converted to the type of the parameters`, async (t) => {
    using model = await nets.load(dtype)
    const [input] = nets.inputs(dtype) as [Tensor]
    t.is(expectedInput(model).dtype, dtype)
    using own = input.to({ dtype })
    for (const given of [input, own])
      for (const execution of ['auto', 'hooked'] as const) {
        using cam = new Cam(model, { layers: ['stem'], execution })
        using found = await cam.explain(given, { target: 1 })
        assertParity(t, found.cam, nets.value(dtype, 'class 1'), `${given.dtype} ${execution}`, roundings[dtype])
      }
    using output = await model.forward(input)
    t.is(output.dtype, dtype)
    t.is((await suggestLayers(model, input))[0]?.layer, 'stem')
    using occlusion = new InputPerturbation(model, { method: 'occlusion', window: [8, 8] })
    using covered = await occlusion.explain(input, { target: 1 })
    t.is(covered.attribution.shape.join(), input.shape.join())
    using integrated = new InputAttribution(model, { method: 'integrated-gradients', steps: 4 })
    using path = await integrated.explain(input, { target: 1 })
    t.is(path.attribution.shape.join(), input.shape.join())
  })

test('errors of inputs name the cause that LibTorch found', async (t) => {
  const refused = async (name: string, input: Tensor, code: GradCamError['code'], message: RegExp): Promise<void> => {
    using model = await nets.load(name)
    using given = input
    for (const execution of ['auto', 'hooked'] as const) {
      using cam = new Cam(model, { layers: ['stem'], execution })
      const error = await t.throwsAsync<GradCamError>(cam.explain(given, { target: 1 }))
      t.is(error.code, code, error.message)
      t.regex(error.message, message)
      t.notRegex(error.message, /size/)
    }
    await t.throwsAsync(model.forward(given), { code })
  }
  const channels = /takes 1 channel, but its input \[1, 3, 8, 8\] has 3/
  await refused('grey', Tensor.rand([1, 3, 8, 8]), 'ERR_CHANNELS', channels)
  await refused('volume', Tensor.rand([1, 3, 8, 8, 8]), 'ERR_CHANNELS', /takes 2 channels/)
  const bytes = Tensor.zeros([1, 3, 8, 8], { dtype: 'uint8' })
  await refused('dense', bytes, 'ERR_DTYPE', /parameters are float32, but its input .* is uint8.*div|convert/i)
  await refused('mixed', Tensor.rand([1, 3, 8, 8]), 'ERR_DTYPE', /own code mixes types.*model\.float\(\)/)
  await refused('elsewhere', Tensor.rand([1, 3, 8, 8]), 'ERR_MODEL_DEVICE', /names the device cuda:0.*is on cpu/)
})

test('a size that does not fit is not called a matter of channels or types', async (t) => {
  using model = await nets.load('positions')
  using input = Tensor.rand([1, 3, 20, 24])
  await t.throwsAsync(model.forward(input), { code: 'ERR_TORCH' })
  await t.throwsAsync(pickLayer(model, [1, 3, 20, 24]), {
    code: 'ERR_TORCH',
    message: /does not run on an input of \[1, 3, 20, 24\].*Sizes in the model do not fit/,
  })
})

test('a layer that is not on the way to the score is said to be that, and not that there is no gradient at all', async (t) => {
  using model = await nets.load('branches')
  const { both } = nets.batch('branches')
  for (const execution of ['auto', 'hooked'] as const) {
    using cam = new Cam(model, { layers: ['left'], execution })
    await t.throwsAsync(cam.explain(both, { target: { kind: 'class', class: 1, of: 1 } }), {
      code: 'ERR_NO_GRADIENT',
      message: /does not depend on layer 'left'; another part of the output does/,
    })
    using found = await cam.explain<Value>(both, { target: { kind: 'class', class: 1, of: 0 } })
    t.is(found.targets.join(), '1,1')
  }
})

test('a model without layers is not asked for one', async (t) => {
  using model = await nets.load('functional')
  const without = /no layers: its code is in one module/
  await t.throwsAsync(pickLayer(model, [1, 3, 16, 24]), { code: 'ERR_LAYER_OUTPUT', message: without })
  t.throws(() => new Cam(model, { layers: ['features'] }), { code: 'ERR_LAYER_NOT_FOUND', message: /no layers at all/ })
  t.is(expectedInput(model).channels, 3)
  t.regex(gradcam(['layers', nets.file('functional'), '--size', '16x24']).stdout, /all code is in one module/)
  t.regex(gradcam(['doctor', nets.file('functional'), '--size', '16x24']).stdout, /the model has none/)
})

test('a score without a graph is not called one without a ReLU', async (t) => {
  using model = await nets.load('detached')
  const { both } = nets.batch('detached')
  using guided = new GuidedBackprop(model)
  await t.throwsAsync(guided.explain(both, { target: 1 }), {
    code: 'ERR_NO_GRADIENT',
    message: /does not depend on the input.*under no_grad/,
  })
})
