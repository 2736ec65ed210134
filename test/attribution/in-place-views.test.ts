import test from 'ava'
import { GuidedBackprop, ScriptModule } from '../../lib/index.js'
import { inPlaceViews } from '../support/in-place-views.js'
import { assertParity } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'

const nets = await inPlaceViews()
const refused = 'OtherOnView'
/** What a split computes as the model does only in the layout of memory that float64 happens to keep. */
const unsplittable: Readonly<Record<string, RegExp>> = {
  ModuleOnView: /aten::relu_ changes in place what aten::flatten may have copied in another memory layout/,
}
/** In float64 both compute the same products and sums, in another order where the model is split. */
const rounding = 1e-10

for (const name of nets.names.filter((net) => net !== refused))
  for (const kind of ['scripted', 'traced'] as const)
    for (const [scope, execution] of [
      ['modules', 'hooked'],
      ['all', 'hooked'],
      ['all', 'split'],
    ] as const) {
      const relus = nets.relus(name, scope)
      if (relus === 0) continue
      test(`${name}, ${kind}: guided backprop finds its ReLUs, scope ${scope}, ${execution}`, async (t) => {
        using model = await ScriptModule.load(nets.file(name, kind))
        using guided = new GuidedBackprop(model, { scope, execution })
        using input = toTensor(nets.input)
        const why = execution === 'split' ? unsplittable[name] : undefined
        if (why) {
          await t.throwsAsync(guided.explain(input), { code: 'ERR_NOT_SPLITTABLE', message: why })
          return
        }
        // Twice: the rule must not be applied to what has it already.
        for (const target of [0, 1]) {
          using _output = await guided.forward(input)
          await guided.backward(target)
        }
        using gradient = guided.get()
        t.is(guided.intercepted, relus)
        assertParity(t, gradient, nets.gradient(name, scope), 'gradient', rounding)
      })
    }

for (const kind of ['scripted', 'traced'] as const)
  test(`an activation without a rule, in place on a view, is refused: ${kind}`, async (t) => {
    using model = await ScriptModule.load(nets.file(refused, kind))
    using guided = new GuidedBackprop(model, { scope: 'all' })
    using input = toTensor(nets.input)
    using _output = await guided.forward(input)
    await t.throwsAsync(guided.backward(1), { code: 'ERR_ACTIVATION', message: /goes through Silu/ })
  })

test('a scope that finds none of them says so', async (t) => {
  using model = await ScriptModule.load(nets.file('OnSlice', 'scripted'))
  using guided = new GuidedBackprop(model, { scope: 'modules' })
  using input = toTensor(nets.input)
  using _output = await guided.forward(input)
  await t.throwsAsync(guided.backward(1), { code: 'ERR_NO_RELU' })
})
