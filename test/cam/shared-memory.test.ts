import test from 'ava'
import { Cam, GradCam, ScriptModule } from '../../lib/index.js'
import { assertParity } from '../support/parity.js'
import { reference } from '../support/reference.js'
import { toTensor } from '../support/to-tensor.js'

// One tensor under several names, which an operator in place changes: whoever reads any of them reads the change, and the
// gradient at a layer that made it comes from all of them.
const target = 1
/** By net: its layers, and why it runs hooked, where a split would not know which names are of one tensor. */
const nets: Record<string, { layers: string[]; why?: RegExp }> = {
  wide_dropout_changed: { layers: ['stem', 'a', 'norm'] },
  wide_contiguous_changed: {
    layers: ['stem', 'a', 'norm'],
    why: /aten::mul_ changes in place what aten::contiguous may have copied in another memory layout/,
  },
  wide_read_under_other_name: { layers: ['stem', 'a', 'relu'] },
  wide_read_through_branch: { layers: ['stem', 'relu'], why: /may share the memory of what a target layer returned/ },
  wide_cast_in_place: {
    layers: ['stem', 'a', 'norm'],
    why: /type_as may return its input, which aten::mul_ could change/,
  },
}
const peer = await reference(
  'shared-memory',
  Object.fromEntries(
    Object.entries(nets).map(([name, { layers }]) => [
      name,
      {
        files: true,
        cases: { gradcam: { method: 'gradcam', layers, target }, ablation: { method: 'ablation', layers, target } },
      },
    ]),
  ),
)

for (const [name, { layers, why }] of Object.entries(nets))
  for (const kind of ['scripted', 'traced'] as const)
    for (const asked of [...layers.map((layer) => [layer]), layers])
      test(`${name}, ${kind}, ${asked.join(' and ')}`, async (t) => {
        using model = await ScriptModule.load(peer.file(name, kind))
        using input = toTensor(peer.input(name))
        for (const execution of ['hooked', undefined] as const) {
          using cam = new GradCam(model, asked, { ...(execution && { execution }) })
          using found = await cam.explain(input, { target })
          for (const layer of asked)
            assertParity(t, found.get(layer), peer.tensor(name, 'gradcam', `cam:${layer}`), `${layer}, ${execution}`)
          const path = found.execution
          if (execution !== 'hooked' && path.path === 'hooked') t.regex(path.why, why ?? /^$/)
        }
      })

// Methods that replace what a layer returns: its channels one by one, or all of it on the way from a baseline.
for (const [name, { layers }] of Object.entries(nets))
  for (const kind of ['scripted', 'traced'] as const)
    for (const layer of layers)
      test(`${name}, ${kind}, ${layer} replaced`, async (t) => {
        using model = await ScriptModule.load(peer.file(name, kind))
        using input = toTensor(peer.input(name))
        const integrated: number[][] = []
        for (const execution of ['hooked', undefined] as const) {
          using cam = new Cam(model, {
            layers: [layer],
            methods: ['ablationcam', 'layer-integrated-gradients'],
            ...(execution && { execution }),
          })
          using found = await cam.explain(input, { target })
          const ablated = found.get(layer, 'ablationcam')
          assertParity(t, ablated, peer.tensor(name, 'ablation', `cam:${layer}`), `${layer}, ${execution}`)
          integrated.push(Array.from(found.get(layer, 'layer-integrated-gradients').toTypedArray(), Number))
        }
        const [hooked = [], split = []] = integrated
        const largest = Math.max(...hooked.map(Math.abs))
        t.true(largest > 0)
        t.true(hooked.every((value, i) => Math.abs(value - (split[i] ?? NaN)) <= 1e-5 * largest))
      })

test('a split is refused where it would not be known which names are of one tensor', async (t) => {
  for (const [name, { layers, why }] of Object.entries(nets)) {
    using model = await ScriptModule.load(peer.file(name, 'scripted'))
    using input = toTensor(peer.input(name))
    using cam = new GradCam(model, layers.slice(-1), { execution: 'split' })
    if (why) await t.throwsAsync(cam.explain(input, { target }), { code: 'ERR_NOT_SPLITTABLE', message: why })
    else {
      using found = await cam.explain(input, { target })
      t.is(found.execution.path, 'split')
    }
  }
})
