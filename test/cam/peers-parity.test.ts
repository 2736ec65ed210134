import test from 'ava'
import { Cam, FullGrad, ScriptModule, Tensor, type CamMethod, type CamOptions, type Target } from '../../lib/index.js'
import { farthest } from '../support/arithmetic.js'
import { assertSame } from '../support/parity.js'
import { peerModels, peerReference } from '../support/peer-maps.js'
import type { Values } from '../support/stored-tensor.js'
import { needing } from '../support/needs.js'

/** Greatest difference of a map in [0, 1], and relative error of a raw gradient. */
const tolerance = 1e-5

/** In a difference of two classes most of both scores cancels, and what is left has more of a split model's rounding. */
const splitDifferenceTolerance = 5e-5

/**
 * Where a max-pool behind the layer meets two values that are equal up to rounding, it may take the other: one of the
 * augmented images does that to vgg11, which is 1e-3 of a map.
 */
const splitTieTolerance = 2e-3

const methods = [
  'gradcam',
  'hirescam',
  'gradcam-elementwise',
  'gradcam++',
  'xgradcam',
  'layercam',
  'eigencam',
  'eigengradcam',
  'kpcacam',
  'fem',
  'shapleycam',
] as const satisfies readonly CamMethod[]

const peer = await peerReference('peer_maps.py', { models: peerModels })
const run = needing('peers', peer, test.serial)

const inputOf = (values: Values, images: number): Tensor => {
  const [count = 1, ...rest] = values.shape
  return Tensor.from(values.data.slice(0, (values.data.length / count) * images), [images, ...rest])
}

for (const [name, { classes, layer_sets, reshape }] of Object.entries(peerModels)) {
  for (const kind of ['scripted', 'traced'] as const) {
    for (const images of [1, 3]) {
      for (const [layers, execution] of layer_sets.flatMap((set) => [
        [set, 'auto'] as const,
        [set, 'hooked'] as const,
      ])) {
        run(`${name}, ${kind}, ${images} images, ${layers.join(' and ')}, ${execution}`, async (t) => {
          const of = `${images} ${layers.join(' ')}`
          using model = await ScriptModule.load(peer!.file(name, kind))
          using input = inputOf(peer!.input(name), images)
          const targets = classes.slice(0, images)

          const compare = async (
            options: Partial<CamOptions>,
            target: Target,
            cases: Partial<Record<CamMethod, string>>,
            augment = false,
            allowed = tolerance,
          ) => {
            const asked = Object.keys(cases) as CamMethod[]
            const shared = { layers, execution, ...(reshape && { reshape }) }
            using cam = new Cam(model, { ...shared, methods: asked, compat: 'pytorch-grad-cam', ...options })
            using found = await cam.explain(input, { target, augment })
            for (const method of asked) {
              const expected = peer!.tensor(name, of, cases[method]!)
              const map = found.get(undefined, method)
              t.deepEqual([...map.shape], expected.shape, method)
              const distance = farthest(map.toTypedArray() as Float32Array, expected.data as Float32Array)
              t.true(distance <= allowed, `${cases[method]}: farthest ${distance.toExponential(2)}`)
            }
          }

          const compareRaw = async () => {
            using cam = new Cam(model, { layers, execution })
            await cam.forward(input)
            await cam.backward(targets)
            for (const layer of layers) {
              using activation = cam.activation(layer)
              using gradient = cam.gradient(layer)
              assertSame(t, activation, peer!.tensor(name, of, `activation:${layer}`), `activation of ${layer}`)
              assertSame(t, gradient, peer!.tensor(name, of, `gradient:${layer}`), `gradient of ${layer}`)
            }
          }

          const skipsShapley = layers.length > 1 || reshape !== undefined // the peer fails there
          const asked = methods.filter((method) => !(method === 'shapleycam' && skipsShapley))
          // XGrad-CAM by itself, for it has its whole pass run hooked.
          for (const some of [asked.filter((method) => method !== 'xgradcam'), ['xgradcam']])
            await compare({}, targets, Object.fromEntries(some.map((method) => [method, method])))
          await compare({ eigenSmooth: true }, targets, { gradcam: 'smooth:gradcam' })
          await compare({}, 'argmax', { gradcam: 'argmax:gradcam' })
          const forTies = execution === 'auto' && name === 'vgg11' ? splitTieTolerance : tolerance
          await compare({}, targets, { gradcam: 'augmented:gradcam' }, true, forTies)
          await compare({}, { kind: 'probability', class: targets }, { gradcam: 'probability:gradcam' })
          await compare({}, { kind: 'finer' }, { gradcam: 'finer:gradcam' })
          const against: Target = { kind: 'finer', class: targets, against: [1, 3], alpha: 0.7 }
          const forDifference = execution === 'auto' ? splitDifferenceTolerance : tolerance
          await compare({}, against, { gradcam: 'against:gradcam' }, false, forDifference)

          if (reshape) return // the peer captures reshaped tensors, and Captum knows no such layers
          await compareRaw()
          using fullGrad = new FullGrad(model)
          using full = await fullGrad.explain(input, { target: targets })
          const distance = farthest(
            full.cam.toTypedArray() as Float32Array,
            peer!.tensor(name, `${images} ${layer_sets[0]!.join(' ')}`, 'fullgrad').data as Float32Array,
          )
          t.true(distance <= tolerance, `FullGrad: farthest ${distance.toExponential(2)}`)
          using captum = new Cam(model, { layers, execution, compat: 'captum' })
          using found = await captum.explain(input, { target: targets })
          for (const layer of layers)
            assertSame(t, found.get(layer), peer!.tensor(name, of, `captum:${layer}`), `Captum at ${layer}`)
        })
      }
    }
  }
}
