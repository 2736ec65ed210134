import test from 'ava'
import { Cam, GuidedBackprop, ScriptModule, type Target } from '../../lib/index.js'
import { farthest } from '../support/arithmetic.js'
import { relativeError } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

const peer = await peerReference('peer_defects.py', {})
const run = needing('peers', peer, test.serial)

const explain = async (net: string, target: Target) => {
  using model = await ScriptModule.load(peer!.file(net, 'scripted'))
  using input = toTensor(peer!.input(net))
  using cam = new Cam(model, { layers: ['features'], compat: 'pytorch-grad-cam' })
  using found = await cam.explain(input, { target })
  return found.cam.toTypedArray() as Float32Array
}

run('an in-place ReLU after the layer: pytorch-grad-cam sees the overwritten activation, we do not', async (t) => {
  const net = 'in_place_relu_after'
  const ours = await explain(net, [0, 1])
  const right = peer!.tensor(net, 'cases', 'right').data as Float32Array
  t.true(farthest(ours, right) <= 1e-5)
  t.true(farthest(peer!.tensor(net, 'cases', 'peer').data as Float32Array, right) > 0.05)
})

run('fewer targets than images: pytorch-grad-cam gives the others zeros, we refuse', async (t) => {
  const net = 'in_place_relu_after'
  const map = peer!.tensor(net, 'cases', 'too_few_targets').data as Float32Array
  t.true(map.subarray(map.length / 2).every((value) => value === 0))
  await t.throwsAsync(explain(net, [0, 1, 0]), { code: 'ERR_TARGET_COUNT' })
  await t.throwsAsync(explain(net, []), { code: 'ERR_TARGET' })
})

run('functional ReLUs: Captum gives the plain gradient for guided backprop, we do not', async (t) => {
  const net = 'functional_relu_only'
  const plain = peer!.tensor(net, 'cases', 'plain').data
  t.true(relativeError(peer!.tensor(net, 'cases', 'captum').data, plain) < 1e-6)
  using model = await ScriptModule.load(peer!.file(net, 'scripted'))
  using input = toTensor(peer!.input(net))
  using guided = new GuidedBackprop(model)
  using found = await guided.explain(input, { target: 1 })
  t.true(found.intercepted > 0)
  t.true(relativeError(found.gradient.toTypedArray(), plain) > 0.1)
})

run('a class in a mask: the map is that of pytorch-grad-cam', async (t) => {
  const net = 'segmentation'
  const expected = peer!.tensor(net, 'cases', 'map').data as Float32Array
  using mask = toTensor(peer!.tensor(net, 'cases', 'mask'))
  for (const given of [mask, mask.tolist() as number[][]]) {
    const ours = await explain(net, { kind: 'segmentation', class: 1, mask: given })
    t.true(farthest(ours, expected) <= 1e-5)
  }
})
