import test from 'ava'
import {
  GuidedBackprop,
  GuidedGradCam,
  InputAttribution,
  ScriptModule,
  Tensor,
  type InputMethod,
} from '../../lib/index.js'
import { farthest } from '../support/arithmetic.js'
import { assertSame } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

/** `relus`: how many are modules, which are all that Captum reaches. `functional`: that there are others. */
const models = {
  plain: { classes: [0, 1, 2], layer: 'features', size: [3, 3, 16, 20], guided: true, relus: 2, functional: false },
  plain_double: {
    classes: [0, 1, 2],
    layer: 'features',
    size: [3, 3, 16, 20],
    guided: true,
    relus: 2,
    functional: false,
  },
  vit: { classes: [0, 1, 2], layer: 'patch_embed', size: [3, 3, 32, 48], guided: false, relus: 0, functional: false },
  resnet18: { classes: [4, 7, 2], layer: 'layer4', size: [3, 3, 64, 80], guided: true, relus: 17, functional: false },
  vgg11: { classes: [4, 7, 2], layer: 'features.19', size: [3, 3, 64, 80], guided: true, relus: 10, functional: false },
  densenet121: {
    classes: [283, 243, 7],
    layer: 'features.denseblock4',
    size: [3, 3, 64, 80],
    guided: true,
    relus: 120,
    functional: true,
  },
}
/** As test/python/peer_inputs.py draws it. */
const noise = { sigma: 0.3, samples: 6, seed: 11 }

const peer = await peerReference('peer_inputs.py', { models })
const run = needing('peers', peer, test.serial)

for (const [name, { classes, layer, size, guided, relus, functional }] of Object.entries(models)) {
  for (const kind of ['scripted', 'traced'] as const) {
    const expected = (what: string) => peer!.tensor(name, 'captum', what)
    // A difference of two nearly equal sums, in float32.
    const variance = name.endsWith('double') ? 1e-9 : 1e-4

    run(`${name}, ${kind}: gradients at the input`, async (t) => {
      using model = await ScriptModule.load(peer!.file(name, kind))
      using all = toTensor(peer!.input(name))
      using first = all.narrow(0, 0, 1)
      const ruled: InputMethod[] = guided && !functional ? ['guided-backprop', 'deconvnet'] : []
      for (const [input, of] of [
        [all, 'captum'],
        [first, 'captum, one image'],
      ] as const) {
        const target = classes.slice(0, input.shape[0])
        for (const method of ['gradient', 'saliency', 'input-x-gradient', ...ruled] as const) {
          using attribution = new InputAttribution(model, { method })
          using found = await attribution.explain(input, { target })
          assertSame(t, found.attribution, peer!.tensor(name, of, method), `${method}, ${of}`)
          t.is(found.intercepted, ruled.includes(method) ? relus : null)
          t.is(found.delta, null)
        }
        if (!guided) continue
        using modules = new GuidedBackprop(model, { scope: 'modules' })
        using found = await modules.explain(input, { target })
        assertSame(t, found.gradient, peer!.tensor(name, of, 'guided-backprop'), `the modules alone, ${of}`)
        t.is(found.intercepted, relus)
      }
    })

    run(`${name}, ${kind}: integrated gradients`, async (t) => {
      using model = await ScriptModule.load(peer!.file(name, kind))
      using input = toTensor(peer!.input(name))
      const method = 'integrated-gradients'
      // All of a large net's in one batch, as Captum has them: convolutions of another batch size round differently, and a
      // ReLU or max-pool that meets a tie within rounding then takes the other side.
      const batchSizes = (size[2] ?? 0) < 64 ? [1, 7, 64] : [128]
      for (const batchSize of batchSizes) {
        using attribution = new InputAttribution(model, { method, batchSize })
        using found = await attribution.explain(input, { target: classes })
        assertSame(t, found.attribution, expected(method), `batches of ${batchSize}`)
        t.true(farthest(found.delta!, expected('delta').data as Float32Array) < 1e-4, String(found.delta))
      }
      using quarter = Tensor.full([1], 0.25, { dtype: input.dtype })
      for (const baseline of [0.25, quarter]) {
        using few = new InputAttribution(model, { method, steps: 7, baseline, batchSize: 128 })
        using found = await few.explain(input, { target: classes })
        assertSame(t, found.attribution, expected('few steps'), 'seven steps from 0.25')
      }
      using noisy = new InputAttribution(model, {
        method,
        steps: 5,
        smooth: noise,
        batchSize: batchSizes.length > 1 ? 20 : 128,
      })
      using smooth = await noisy.explain(input, { target: classes })
      assertSame(t, smooth.attribution, expected(`${method} mean`), 'smoothed')
    })

    run(`${name}, ${kind}: SmoothGrad, squared, and VarGrad`, async (t) => {
      using model = await ScriptModule.load(peer!.file(name, kind))
      using input = toTensor(peer!.input(name))
      for (const of of ['mean', 'squared', 'variance'] as const) {
        for (const batchSize of [1, 12]) {
          const smooth = { ...noise, kind: of }
          using attribution = new InputAttribution(model, { method: 'saliency', smooth, batchSize })
          using found = await attribution.explain(input, { target: classes })
          const tolerance = of === 'variance' ? variance : 1e-5
          assertSame(t, found.attribution, expected(`saliency ${of}`), `${of}, ${batchSize}`, tolerance)
        }
      }
    })

    if (!guided || functional) continue
    run(`${name}, ${kind}: guided Grad-CAM`, async (t) => {
      using model = await ScriptModule.load(peer!.file(name, kind))
      using input = toTensor(peer!.input(name))
      using guidedCam = new GuidedGradCam(model, { layer, mode: 'nearest' })
      using found = await guidedCam.explain(input, { target: classes })
      assertSame(t, found.attribution, expected('guided-grad-cam'), 'guided Grad-CAM')
      t.deepEqual(found.targets, classes)
    })
  }
}
