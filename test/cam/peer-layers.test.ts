import test from 'ava'
import {
  Cam,
  camMethods,
  InputAttribution,
  manualSeed,
  ScriptModule,
  Tensor,
  type CamMethod,
  type CamMethodFacts,
  type InputMethod,
} from '../../lib/index.js'
import { farthest } from '../support/arithmetic.js'
import { sampleModel } from '../support/batch.js'
import { assertParity, relativeError } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

manualSeed(0)

/** In float64: both sides compute at points that differ in the last digits only. `unit`: one of a layer whose values are not cut at zero; `guided`, `deeplift`: Captum has these for it. */
const models = {
  plain_double: {
    classes: [0, 1, 2],
    layer: 'features.6',
    size: [3, 3, 16, 20],
    unit: { layer: 'features.7', at: [5, 3, 4], guided: true, deeplift: false },
    deeplift: true,
    torch_cam: true,
  },
  curved: {
    classes: [2, 1, 4],
    layer: 'features',
    size: [3, 3, 16, 20],
    unit: { layer: 'features.2', at: [2, 7, 11], guided: true, deeplift: false },
    deeplift: false,
    torch_cam: true,
  },
  captums_rules: {
    classes: [1, 0, 3],
    layer: 'features.4',
    size: [3, 3, 16, 20],
    unit: { layer: 'features.4', at: [4, 2, 6], guided: false, deeplift: true },
    deeplift: true,
    torch_cam: false,
  },
}
/** Captum rounds the weights of the points to float32, whatever the net's dtype. */
const tolerance: Partial<Record<string, number>> = {
  'internal-influence': 1e-6,
  'layer-integrated-gradients': 1e-6,
  'integrated-gradients': 1e-6,
}
// As test/python/peer_layers.py has them.
const settings = { samples: 3, sigma: 0.7, seed: 5, steps: 9, baseline: 0.25 } as const

const peer = await peerReference('peer_layers.py', { models })
const run = needing('peers', peer, test.serial)

/** CAM has a test of its own: few of these models have such a head. */
const isOfCaptum = (method: CamMethod) => method.startsWith('layer-') || method === 'internal-influence'

for (const [name, { classes, layer, deeplift, torch_cam: torchCam, unit }] of Object.entries(models)) {
  const methods = (Object.keys(camMethods) as CamMethod[]).filter((method) => {
    const { peers }: CamMethodFacts = camMethods[method]
    return method === 'layer-deeplift'
      ? deeplift
      : isOfCaptum(method) || (torchCam && method !== 'cam' && peers['torch-cam'])
  })
  for (const execution of ['auto', 'hooked'] as const)
    run(`${name}, ${execution}: layers at other inputs are as torch-cam and Captum have them`, async (t) => {
      t.true(methods.length >= 5)
      using model = await ScriptModule.load(peer!.file(name, 'scripted'))
      using input = toTensor(peer!.input(name))
      for (const chunkSize of [3, 32]) {
        const options = { layers: [layer], methods, execution, chunkSize, ...settings }
        using signed = new Cam(model, { ...options, compat: 'captum', contributions: true })
        using found = await signed.explain(input, { target: classes })
        using clipped = new Cam(model, options)
        using positive = await clipped.explain(input, { target: classes })
        for (const method of methods) {
          const expected = peer!.tensor(name, 'peers', method)
          // torch-cam cuts at zero
          const own = isOfCaptum(method) ? found : positive
          assertParity(t, own.get(layer, method), expected, `${method}, ${chunkSize}`, tolerance[method] ?? 1e-9)
          if (!isOfCaptum(method)) continue
          using channels = found.contribution(layer, method)
          const all = peer!.tensor(name, 'channels', method)
          assertParity(t, channels, all, `${method} of channels, ${chunkSize}`, tolerance[method] ?? 1e-9)
        }
      }
    })

  if (deeplift)
    run(`${name}: layer DeepLIFT by itself, whose pass is the one that compares with the baseline`, async (t) => {
      using model = await ScriptModule.load(peer!.file(name, 'scripted'))
      using input = toTensor(peer!.input(name))
      for (const execution of ['auto', 'hooked', 'split'] as const) {
        const alone = ['layer-deeplift'] as const
        const options = { compat: 'captum', baseline: settings.baseline, contributions: true } as const
        using cam = new Cam(model, { layers: [layer], methods: alone, execution, ...options })
        using found = await cam.explain(input, { target: classes })
        assertParity(t, found.get(layer), peer!.tensor(name, 'peers', 'layer-deeplift'), execution, 1e-9)
        using channels = found.contribution(layer)
        assertParity(t, channels, peer!.tensor(name, 'channels', 'layer-deeplift'), `${execution}, channels`, 1e-9)
        using output = await model.forward(input)
        const scores = classes.map((of, image) => (output.tolist() as number[][])[image]![of]!)
        t.true(farthest(found.scores, scores) < 1e-9, `${execution}: the scores are those at the images`)
      }
    })

  run(`${name}: what speaks for one unit of a layer is as Captum has it`, async (t) => {
    using model = await ScriptModule.load(peer!.file(name, 'scripted'))
    using input = toTensor(peer!.input(name))
    const ways: InputMethod[] = ['gradient', 'integrated-gradients']
    if (unit.guided) ways.push('guided-backprop')
    // Captum loses a rule where two follow one another, as before the units of the others.
    if (unit.deeplift) ways.push('deeplift')
    for (const method of ways) {
      using explainer = new InputAttribution(model, {
        method,
        scope: 'modules', // as Captum's rule for guided backprop
        scoreLayer: unit.layer,
        ...(method === 'integrated-gradients' && { steps: settings.steps }),
        baseline: settings.baseline,
      })
      using found = await explainer.explain(input, { target: { kind: 'element', at: unit.at } })
      assertParity(t, found.attribution, peer!.tensor(name, 'neurons', method), method, tolerance[method] ?? 1e-9)
      using output = await model.forward(input)
      t.deepEqual(found.output.shape, output.shape, 'the output is still that of the model')
    }
  })
}

test('one unit of several layers: errors say which layer the score is of', async (t) => {
  using model = await ScriptModule.load(sampleModel)
  using input = Tensor.rand([1, 3, 32, 32])
  t.throws(() => new InputAttribution(model, { method: 'gradient', scoreLayer: 'nowhere' }), {
    code: 'ERR_LAYER_NOT_FOUND',
  })
  using explainer = new InputAttribution(model, { method: 'gradient', scoreLayer: 'features' })
  const far = explainer.explain(input, { target: { kind: 'element', at: [100_000, 0, 0] } })
  await t.throwsAsync(far, { code: 'ERR_TARGET_OUT_OF_RANGE', message: /layer 'features' returned/ })
  // A function is given what the layer returned.
  using unit = await explainer.explain(input, { target: { kind: 'element', at: [3, 0, 0] } })
  using own = await explainer.explain(input, {
    target: (output) => output.select(1, 3).select(1, 0).select(1, 0).sum(),
  })
  t.true(relativeError(own.attribution.toTypedArray(), unit.attribution.toTypedArray()) < 1e-6) // sums in another order
})

test('what channels add is kept where it is asked for, and adds up to the map', async (t) => {
  using model = await ScriptModule.load(sampleModel)
  using input = Tensor.rand([2, 3, 32, 40])
  const layers = ['features']
  using cam = new Cam(model, { layers, methods: ['gradcam-elementwise', 'eigencam'], contributions: true })
  using found = await cam.explain(input, { target: [0, 1] })
  using channels = found.contribution()
  using sum = channels.sum([1], true)
  using positive = sum.clamp(0, null)
  t.true(relativeError(positive.toTypedArray(), found.cam.toTypedArray()) < 1e-6) // the same sum, in another layout
  t.throws(() => found.contribution('features', 'eigencam'), { code: 'ERR_INVALID_ARGUMENT', message: /principal/ })
  using plain = new Cam(model, { layers })
  using without = await plain.explain(input)
  t.throws(() => without.contribution(), { code: 'ERR_INVALID_ARGUMENT', message: /contributions: true/ })
  t.throws(() => new Cam(model, { layers, contributions: true, aggregate: 'mean' }), { code: 'ERR_INVALID_ARGUMENT' })
})
