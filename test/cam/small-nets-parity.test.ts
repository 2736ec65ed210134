import test from 'ava'
import { GradCam, GuidedBackprop, ScriptModule } from '../../lib/index.js'
import { assertParity } from '../support/parity.js'
import { gradCamCase, smallNetCases, smallNetReference } from '../support/small-net-cases.js'
import { targetOf } from '../support/target-of.js'
import { toTensor } from '../support/to-tensor.js'

const peer = await smallNetReference()

for (const small of smallNetCases) {
  const { net, layers } = small
  for (const kind of ['scripted', 'traced'] as const) {
    const file = peer.fileOrNull(net, kind)
    if (file === null) continue

    for (const execution of ['auto', 'hooked'] as const)
      test.serial(`${net}, ${kind}: Grad-CAM at ${layers.join(' and ')}, ${execution}`, async (t) => {
        using model = await ScriptModule.load(file)
        using input = toTensor(peer.input(net))
        using gradCam = new GradCam(model, [...layers], { execution })
        for (const time of ['first', 'second']) {
          await gradCam.forward(input)
          await gradCam.backward(targetOf(small))
          for (const layer of layers) {
            using map = gradCam.get(layer)
            assertParity(t, map, peer.tensor(net, gradCamCase(small), `cam:${layer}`), `${layer}, ${time} time`)
          }
        }
        if (execution === 'hooked') t.like(gradCam.execution, { path: 'hooked', why: 'it was requested' })
        else if (small.hooked === undefined) t.deepEqual(gradCam.execution, { path: 'split' })
        else t.regex((gradCam.execution as { why: string }).why, small.hooked)
      })

    // Guided backprop knows no layers: once for each net.
    if (small !== smallNetCases.find((first) => first.net === net)) continue
    for (const scope of ['modules', 'all'] as const) {
      const intercepted = peer.number(net, `guided_${scope}`, 'intercepted')
      test.serial(`${net}, ${kind}: guided backprop, scope ${scope}`, async (t) => {
        using model = await ScriptModule.load(file)
        using input = toTensor(peer.input(net))
        using guided = new GuidedBackprop(model, { scope })
        await guided.forward(input)
        if (intercepted === 0) {
          await t.throwsAsync(guided.backward(targetOf(small)), { code: 'ERR_NO_RELU' })
          return
        }
        await guided.backward(targetOf(small))
        using gradient = guided.get()
        assertParity(t, gradient, peer.tensor(net, `guided_${scope}`, 'gradient'), 'gradient')
        t.is(guided.intercepted, intercepted)
      })
    }
  }
}

for (const net of ['shared_gradients', 'dense'])
  test.serial(`${net}: guided backprop of an input that lies channels last`, async (t) => {
    const small = smallNetCases.find((first) => first.net === net)!
    using model = await ScriptModule.load(peer.file(net, 'scripted'))
    using rows = toTensor(peer.input(net))
    using input = rows.contiguous({ memoryFormat: 'channelsLast' })
    using guided = new GuidedBackprop(model)
    using found = await guided.explain(input, { target: targetOf(small) })
    assertParity(t, found.gradient, peer.tensor(net, 'guided_all', 'gradient'), 'gradient')
  })

for (const net of ['regression_column', 'regression_flat']) {
  test.serial(`${net}: the one output of a regression is the default target, and class 0`, async (t) => {
    const { layers } = smallNetCases.find((small) => small.net === net)!
    using model = await ScriptModule.load(peer.file(net, 'scripted'))
    using input = toTensor(peer.input(net))
    using gradCam = new GradCam(model, layers)
    await gradCam.forward(input)
    for (const target of [undefined, 'argmax', 0] as const) {
      await gradCam.backward(target)
      using map = gradCam.get(layers[0]!)
      assertParity(t, map, peer.tensor(net, `gradcam ${layers[0]}`, `cam:${layers[0]}`), `target ${target}`)
    }
  })
}
