import test from 'ava'
import { GradCam, GuidedBackprop, ScriptModule, interpolate, normalize } from '../../lib/index.js'
import { densenetReference, doubleDensenetReference, twoClasses } from '../support/densenet.js'
import { assertParity, relativeError } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'

const peer = await densenetReference()
const double = await doubleDensenetReference()

for (const kind of ['scripted', 'traced'] as const) {
  for (const [net, of, tolerance] of [
    ['densenet121', peer, 1e-5],
    ['densenet121_double', double, 1e-9],
  ] as const)
    for (const scope of ['modules', 'all'] as const) {
      test.serial(`${net}, ${kind}: guided backprop, scope ${scope}`, async (t) => {
        using model = await ScriptModule.load(of.file(net, kind))
        using input = toTensor(of.input(net))
        using guided = new GuidedBackprop(model, { scope })
        using logits = await guided.forward(input)
        await guided.backward(twoClasses)
        using gradient = guided.get()
        assertParity(t, logits, of.tensor(net, `guided_${scope}`, 'output'), 'logits', tolerance)
        assertParity(t, gradient, of.tensor(net, `guided_${scope}`, 'gradient'), 'gradient', tolerance)
        t.is(guided.intercepted, of.number(net, `guided_${scope}`, 'intercepted'))
      })
    }

  const file = peer.file('densenet121', kind)

  test.serial(`densenet121, ${kind}: the reference document's mixed`, async (t) => {
    using model = await ScriptModule.load(file)
    using input = toTensor(peer.input('densenet121'))
    using gradCam = new GradCam(model, ['features'])
    using guided = new GuidedBackprop(model, { scope: 'modules' })
    using _first = await gradCam.forward(input)
    using _second = await guided.forward(input)
    await gradCam.backward(twoClasses)
    await guided.backward(twoClasses)
    using map = gradCam.get('features')
    using gcam = interpolate(map, [224, 224])
    using gradient = guided.get()
    using grad = gradient.mean(1, true)
    using product = gcam.mul(grad)
    using mixed = normalize(product)
    using grey = normalize(grad)
    assertParity(t, grey, peer.tensor('densenet121', 'mixed', 'grad'), 'grad')
    assertParity(t, mixed, peer.tensor('densenet121', 'mixed', 'mixed'), 'mixed')
  })
}

test('the two scopes and the plain gradient differ, so that none can pass for another', (t) => {
  const [plain, modules, all] = ['gradient', 'guided_modules', 'guided_all'].map(
    (name) => peer.tensor('densenet121', name, 'gradient').data,
  )
  t.true(relativeError(modules!, plain!) > 0.1)
  t.true(relativeError(all!, modules!) > 0.1)
})
