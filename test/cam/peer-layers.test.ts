import test from 'ava'
import { Cam, camMethods, ScriptModule, type CamMethod, type CamMethodFacts } from '../../lib/index.js'
import { assertParity } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

/** In float64: both sides compute at points that differ in the last digits only. */
const models = {
  plain_double: { classes: [0, 1, 2], layer: 'features.6', size: [3, 3, 16, 20] },
  curved: { classes: [2, 1, 4], layer: 'features', size: [3, 3, 16, 20] },
}
/** Captum rounds the weights of the points to float32, whatever the net's dtype. */
const tolerance: Partial<Record<CamMethod, number>> = { 'internal-influence': 1e-6 }
// As test/python/peer_layers.py has them.
const settings = { samples: 3, sigma: 0.7, seed: 5, steps: 9, baseline: 0.25 } as const

const peer = await peerReference('peer_layers.py', { models })
const run = needing('peers', peer, test.serial)

const methods = (Object.keys(camMethods) as CamMethod[]).filter((method) => {
  const { peers, reruns }: CamMethodFacts = camMethods[method]
  return peers['torch-cam'] || method === 'layer-activation' || (reruns && peers.Captum)
})

for (const [name, { classes, layer }] of Object.entries(models))
  for (const execution of ['auto', 'hooked'] as const)
    run(`${name}, ${execution}: layers at other inputs are as torch-cam and Captum have them`, async (t) => {
      t.true(methods.length >= 6)
      using model = await ScriptModule.load(peer!.file(name, 'scripted'))
      using input = toTensor(peer!.input(name))
      for (const chunkSize of [3, 32]) {
        const options = { layers: [layer], methods, execution, chunkSize, ...settings }
        using signed = new Cam(model, { ...options, compat: 'captum' })
        using found = await signed.explain(input, { target: classes })
        using clipped = new Cam(model, options)
        using positive = await clipped.explain(input, { target: classes })
        for (const method of methods) {
          const peers: CamMethodFacts['peers'] = camMethods[method].peers
          const own = peers['torch-cam'] ? positive : found // torch-cam cuts at zero
          const expected = peer!.tensor(name, 'peers', method)
          assertParity(t, own.get(layer, method), expected, `${method}, ${chunkSize}`, tolerance[method] ?? 1e-9)
        }
      }
    })
