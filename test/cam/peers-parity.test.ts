import test from 'ava'
import {
  Cam,
  camMethods,
  FullGrad,
  ScriptModule,
  Tensor,
  type CamMethod,
  type CamMethodFacts,
  type CamOptions,
  type Target,
} from '../../lib/index.js'
import { assertMap, assertSame } from '../support/parity.js'
import { peerModels, peerReference } from '../support/peer-maps.js'
import type { Values } from '../support/stored-tensor.js'
import { needing } from '../support/needs.js'

/** Those that pytorch-grad-cam has; not those that run the model again (see reruns-parity.test), nor random maps. */
const methods = (Object.keys(camMethods) as CamMethod[]).filter((method) => {
  const { peers, reruns }: CamMethodFacts = camMethods[method]
  return peers['pytorch-grad-cam'] && !reruns && method !== 'randomcam'
})
const peerClass = (method: CamMethod): string =>
  (camMethods[method] as CamMethodFacts).peers['pytorch-grad-cam'] as string
const peerClasses = Object.fromEntries(methods.map((method) => [method, peerClass(method)]))

const jobs = Object.entries(peerModels).map(([name, model]) => [name, { ...model, methods: peerClasses }])
const peer = await peerReference('peer_maps.py', { models: Object.fromEntries(jobs) })
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
          ) => {
            const asked = Object.keys(cases) as CamMethod[]
            const shared = { layers, execution, ...(reshape && { reshape }) }
            using cam = new Cam(model, { ...shared, methods: asked, compat: 'pytorch-grad-cam', ...options })
            using found = await cam.explain(input, { target, augment })
            for (const method of asked) {
              const expected = peer!.tensor(name, of, cases[method]!)
              assertMap(t, found.get(undefined, method), expected, cases[method]!)
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
          if (layers.length > 1) await compare({ aggregate: 'product' }, targets, { 'gradcam++': 'refine:gradcam++' })
          await compare({ eigenSmooth: true }, targets, { gradcam: 'smooth:gradcam' })
          await compare({}, 'argmax', { gradcam: 'argmax:gradcam' })
          await compare({}, targets, { gradcam: 'augmented:gradcam' }, true)
          await compare({}, { kind: 'probability', class: targets }, { gradcam: 'probability:gradcam' })
          await compare({}, { kind: 'finer' }, { gradcam: 'finer:gradcam' })
          const against: Target = { kind: 'finer', class: targets, against: [1, 3], alpha: 0.7 }
          await compare({}, against, { gradcam: 'against:gradcam' })

          if (reshape) return // the peer captures reshaped tensors, and Captum knows no such layers
          await compareRaw()
          using fullGrad = new FullGrad(model)
          using full = await fullGrad.explain(input, { target: targets })
          assertMap(t, full.cam, peer!.tensor(name, `${images} ${layer_sets[0]!.join(' ')}`, 'fullgrad'), 'FullGrad')
          using captum = new Cam(model, { layers, execution, compat: 'captum' })
          using found = await captum.explain(input, { target: targets })
          for (const layer of layers)
            assertSame(t, found.get(layer), peer!.tensor(name, of, `captum:${layer}`), `Captum at ${layer}`)
        })
      }
    }
  }
}
