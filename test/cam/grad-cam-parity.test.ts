import test from 'ava'
import { GradCam, ScriptModule, interpolate, normalize } from '../../lib/index.js'
import { blockLayers, densenetReference, nestedLayers, twoClasses } from '../support/densenet.js'
import { assertParity } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'

const peer = await densenetReference()

for (const kind of ['scripted', 'traced'] as const) {
  const file = peer.file('densenet121', kind)

  const explainLayers = (name: string, layers: readonly string[], target: number | number[]): void => {
    test.serial(`densenet121, ${kind}: ${name}`, async (t) => {
      using model = await ScriptModule.load(file)
      using input = toTensor(peer.input('densenet121'))
      using gradCam = new GradCam(model, [...layers])
      using logits = await gradCam.forward(input)
      await gradCam.backward(target)
      assertParity(t, logits, peer.tensor('densenet121', name, 'output'), 'logits')
      for (const layer of layers) {
        using map = gradCam.get(layer)
        assertParity(t, map, peer.tensor('densenet121', name, `cam:${layer}`), layer)
      }
    })
  }
  explainLayers('one_class', ['features'], 283)
  explainLayers('two_classes', ['features'], twoClasses)
  explainLayers('block', blockLayers, twoClasses)
  explainLayers('nested', nestedLayers, twoClasses)

  test.serial(`densenet121, ${kind}: a second class from the same pass`, async (t) => {
    using model = await ScriptModule.load(file)
    using input = toTensor(peer.input('densenet121'))
    using gradCam = new GradCam(model, ['features'])
    using logits = await gradCam.forward(input)
    await gradCam.backward(twoClasses)
    await gradCam.backward(283)
    using map = gradCam.get('features')
    assertParity(t, logits, peer.tensor('densenet121', 'one_class', 'output'), 'logits')
    assertParity(t, map, peer.tensor('densenet121', 'one_class', 'cam:features'), 'features')
  })

  test.serial(`densenet121, ${kind}: the map at the size of the input`, async (t) => {
    using model = await ScriptModule.load(file)
    using input = toTensor(peer.input('densenet121'))
    using gradCam = new GradCam(model, ['features'])
    using _logits = await gradCam.forward(input)
    await gradCam.backward(twoClasses)
    using map = gradCam.get('features')
    using enlarged = interpolate(map, [224, 224])
    using normalized = normalize(enlarged)
    assertParity(t, enlarged, peer.tensor('densenet121', 'mixed', 'enlarged'), 'enlarged')
    assertParity(t, normalized, peer.tensor('densenet121', 'mixed', 'gcam'), 'normalized')
  })
}
