import test from 'ava'
import { Cam, ScriptModule, type Value } from '../../lib/index.js'
import { needing } from '../support/needs.js'
import { assertParity } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'

const classes = { kind: 4, colour: 1 }
/** Where each head's logits are in the output. */
const heads = {
  dictionary: { kind: 'kind', colour: 'colour' },
  pair: { kind: 0, colour: 1 },
}
const models = { dictionary: { classes }, pair: { classes } }
const peer = await peerReference('peer_heads.py', { models })
const run = needing('peers', peer, test.serial)

for (const [name, paths] of Object.entries(heads))
  run(`${name}: the CAM of each head is torch-cam's with the weights of its layer`, async (t) => {
    using model = await ScriptModule.load(peer!.file(name, 'scripted'))
    using input = toTensor(peer!.input(name))
    using cam = new Cam(model, { layers: ['features'], methods: ['cam'], compat: 'captum' })
    for (const head of ['kind', 'colour'] as const) {
      const target = { kind: 'class', class: classes[head], of: paths[head] } as const
      using found = await cam.explain<Value>(input, { target })
      assertParity(t, found.cam, peer!.tensor(name, 'torch-cam', head), head)
    }
  })
