import test from 'ava'
import {
  GuidedBackprop,
  GuidedGradCam,
  InputAttribution,
  ScriptModule,
  Tensor,
  type InputMethod,
} from '../../lib/index.js'
import { assertNumbers, assertSame } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

interface Net {
  readonly classes: readonly number[]
  readonly layer: string
  readonly size: readonly number[]
  readonly input_seed: number | readonly number[]
  readonly guided: boolean
  /** How many are modules, which are all that Captum reaches. */
  readonly relus: number
  /** That there are others. */
  readonly functional?: true
  /** What takes many passes is compared as well. */
  readonly passes: 'one' | 'many'
  /** The images are such that float32 can tell the side of every gate, which the reference program checks. */
  readonly decided?: true
}

const small = { classes: [0, 1, 2], size: [3, 3, 16, 20], input_seed: 1, passes: 'many' } as const
const plain: Net = { ...small, layer: 'features', guided: true, relus: 2 }
const size = [3, 3, 32, 48]
const resnet18 = { classes: [4, 7, 2], layer: 'layer4', size, guided: true, relus: 17 } as const
const vgg11 = { classes: [4, 7, 2], layer: 'features.19', size, guided: true, relus: 10 } as const
const densenet121 = {
  classes: [283, 243, 7],
  layer: 'features.denseblock4',
  size,
  guided: true,
  relus: 120,
  functional: true,
} as const
const decided = (...seeds: number[]) => ({ input_seed: seeds, decided: true, passes: 'one' }) as const
const many = { input_seed: 1, passes: 'many' } as const

/**
 * Large nets in float32 on images that test/python/find_decided.py found; and in float64, which knows no undecided gates, for
 * what is a mean over many noisy or faded images, of which a few always have some.
 */
const models: Readonly<Record<string, Net>> = {
  plain,
  plain_double: plain,
  vit: { ...small, layer: 'patch_embed', size, guided: false, relus: 0 },
  resnet18: { ...resnet18, ...decided(3, 4, 5) },
  vgg11: { ...vgg11, ...decided(50, 66, 154) },
  densenet121: { ...densenet121, ...decided(196, 331, 411) },
  resnet18_double: { ...resnet18, ...many },
  vgg11_double: { ...vgg11, ...many },
  densenet121_double: { ...densenet121, ...many },
}
/** As test/python/peer_inputs.py draws it. */
const noise = { sigma: 0.3, samples: 6, seed: 11 }

const peer = await peerReference('peer_inputs.py', { models })
const run = needing('peers', peer, test.serial)

for (const [name, { classes, layer, guided, relus, functional, passes }] of Object.entries(models)) {
  for (const kind of ['scripted', 'traced'] as const) {
    const expected = (what: string) => peer!.tensor(name, 'captum', what)
    const double = name.endsWith('double')
    const tolerance = double ? 1e-9 : 1e-5
    // Captum rounds the weights of the points to float32, whatever the net's dtype.
    const integralTolerance = double ? 1e-7 : 1e-5
    const isSmall = relus <= 2
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
          assertSame(t, found.attribution, peer!.tensor(name, of, method), `${method}, ${of}`, tolerance)
          t.is(found.intercepted, ruled.includes(method) ? relus : null)
          t.is(found.delta, null)
        }
        if (!guided) continue
        using modules = new GuidedBackprop(model, { scope: 'modules' })
        using found = await modules.explain(input, { target })
        assertSame(t, found.gradient, peer!.tensor(name, of, 'guided-backprop'), `the modules alone, ${of}`, tolerance)
        t.is(found.intercepted, relus)
      }
    })

    const runMany = passes === 'many' ? run : () => {}
    runMany(`${name}, ${kind}: integrated gradients`, async (t) => {
      using model = await ScriptModule.load(peer!.file(name, kind))
      using input = toTensor(peer!.input(name))
      const method = 'integrated-gradients'
      // All of a large net's in one batch, as Captum has them: it takes long.
      const batchSizes = isSmall ? [1, 7, 64] : [128]
      for (const batchSize of batchSizes) {
        using attribution = new InputAttribution(model, { method, batchSize })
        using found = await attribution.explain(input, { target: classes })
        assertSame(t, found.attribution, expected(method), `batches of ${batchSize}`, integralTolerance)
        // What is left of sums of thousands of attributions.
        assertNumbers(t, found.delta!, expected('delta'), 'delta', double ? 1e-6 : 1e-4, 'one')
      }
      using quarter = Tensor.full([1], 0.25, { dtype: input.dtype })
      for (const baseline of [0.25, quarter]) {
        using few = new InputAttribution(model, { method, steps: 7, baseline, batchSize: 128 })
        using found = await few.explain(input, { target: classes })
        assertSame(t, found.attribution, expected('few steps'), 'seven steps from 0.25', integralTolerance)
      }
      using noisy = new InputAttribution(model, {
        method,
        steps: 5,
        smooth: noise,
        batchSize: batchSizes.length > 1 ? 20 : 128,
      })
      using smooth = await noisy.explain(input, { target: classes })
      assertSame(t, smooth.attribution, expected(`${method} mean`), 'smoothed', integralTolerance)
    })

    runMany(`${name}, ${kind}: SmoothGrad, squared, and VarGrad`, async (t) => {
      using model = await ScriptModule.load(peer!.file(name, kind))
      using input = toTensor(peer!.input(name))
      for (const of of ['mean', 'squared', 'variance'] as const) {
        for (const batchSize of [1, 12]) {
          const smooth = { ...noise, kind: of }
          using attribution = new InputAttribution(model, { method: 'saliency', smooth, batchSize })
          using found = await attribution.explain(input, { target: classes })
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
      assertSame(t, found.attribution, expected('guided-grad-cam'), 'guided Grad-CAM', tolerance)
      t.deepEqual(found.targets, classes)
    })
  }
}
