// What maps say, and what is found in the code of a model when it is loaded. See test/python/unusual_nets.py.
import test from 'ava'
import {
  Cam,
  explainAll,
  FullGrad,
  GuidedGradCam,
  InputAttribution,
  InputPerturbation,
  modelNotes,
  ScriptModule,
  Tensor,
} from '../../lib/index.js'
import { conditionOf } from '../../lib/explain/condition.js'
import { smallNets } from '../support/models.js'
import { assertParity, relativeError } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'
import { unusualNets } from '../support/unusual-nets.js'

const nets = await unusualNets()
const target = 1

test('dropout and batch norm in training mode, and noise, are found at load, each with its layer', async (t) => {
  const found = async (name: string) => {
    using model = await nets.load(name)
    return modelNotes(model).map(({ code, operator, layer }) => [code, operator, layer])
  }
  t.deepEqual(await found('training'), [
    ['BATCH_STATISTICS', 'aten::batch_norm', 'norm'],
    ['RANDOM', 'aten::dropout', 'drop'],
    ['STATE', null, null],
  ])
  t.deepEqual(await found('evaluated'), [])
  t.deepEqual(await found('noisy'), [['RANDOM', 'aten::randn_like', null]])
  t.deepEqual(await found('windows'), [])
  using model = await nets.load('training')
  t.regex(modelNotes(model)[1]?.message ?? '', /aten::dropout at layer 'drop'.*model\.eval\(\)/)
})

test('nets in evaluation mode have no notes, scripted or traced', async (t) => {
  const small = await smallNets()
  const noted: string[] = []
  for (const kind of ['scripted', 'traced'] as const)
    for (const name of small.names(kind)) {
      using model = await ScriptModule.load(small.file(name, kind))
      for (const { code } of modelNotes(model)) noted.push(`${name} ${kind} ${code}`)
    }
  t.deepEqual(noted, [])
})

test('a trace in evaluation mode agrees with eager PyTorch', async (t) => {
  using model = await nets.load('evaluated')
  using cam = new Cam(model, { layers: ['norm'] })
  using explained = await cam.explain(nets.batch('evaluated').both, { target })
  assertParity(t, explained.cam, nets.value('evaluated', 'norm'), 'norm')
})

test('probabilities are not softmaxed again', async (t) => {
  for (const name of ['softmax', 'sigmoid']) {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    const output = nets.value(name, 'output').data
    using rise = new InputPerturbation(model, { method: 'rise', masks: 8 })
    using found = await rise.explain(both, { target })
    for (const image of [0, 1]) {
      const probability = Number(output[image * 5 + target])
      // The same model by another kernel: rounding alone.
      t.true(Math.abs((found.scores[image] as number) - probability) < 1e-6, name)
    }
    const tensors = both.split(1).map((tensor) => ({ tensor }))
    for await (using result of explainAll(tensors, { model, layer: 'stem', target })) {
      if (!result.ok) throw result.error
      for (const { class: index, probability, score } of result.top) {
        t.is(probability, score)
        t.true(Math.abs(score - Number(output[result.index * 5 + index])) < 1e-6)
      }
    }
  }
})

test('a saturated softmax is said in every kind of explanation', async (t) => {
  for (const name of ['saturated', 'saturated-traced']) {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    const wins = nets.value('saturated', 'output').data.slice(0, 5)
    const top = wins.indexOf(Math.max(...Array.from(wins, Number)) as never)
    t.is(wins[top], 1)
    using cam = new Cam(model, { layers: ['stem'], methods: ['gradcam', 'eigencam'] })
    using found = await cam.explain(both)
    const [gradcam, eigencam] = found.maps
    t.is(gradcam?.conditions[0]?.state, 'saturated')
    t.regex(gradcam?.conditions[0]?.reason ?? '', /ends in softmax, which is saturated: it gives 1, /)
    t.is(eigencam?.conditions[0]?.state, 'ok')
    using saliency = new InputAttribution(model, { method: 'saliency' })
    using attributed = await saliency.explain(both)
    t.is(attributed.conditions[0]?.state, 'saturated')
    using guided = new GuidedGradCam(model, { layer: 'stem' })
    using mixed = await guided.explain(both)
    t.is(mixed.conditions[0]?.state, 'saturated')
    using full = new FullGrad(model)
    using whole = await full.explain(both)
    t.is(whole.conditions[0]?.state, 'saturated')
    const tensors = both.split(1).map((tensor) => ({ tensor }))
    for await (using result of explainAll(tensors, { model, layer: 'stem' })) {
      if (!result.ok) throw result.error
      t.is(result.condition.state, 'saturated')
    }
  }
})

test('FullGrad of an image does not depend on another one that is not finite', async (t) => {
  const small = await smallNets()
  using model = await ScriptModule.load(small.file('plain'))
  using pair = toTensor(small.input('plain'))
  using one = pair.narrow(0, 0, 1)
  const values = (tensor: Tensor) => Array.from(tensor.toTypedArray(), Number)
  using full = new FullGrad(model)
  using alone = await full.explain(one, { target })
  for (const factor of [NaN, Infinity]) {
    using bad = one.mul(factor)
    using batch = Tensor.cat([bad, one])
    using found = await full.explain(batch, { target })
    t.deepEqual(
      found.conditions.map(({ state }) => state),
      ['not-finite', 'ok'],
    )
    using second = found.cam.narrow(0, 1, 1)
    const error = relativeError(values(second), values(alone.cam))
    t.true(error < 1e-5, `${factor}: ${error}`)
  }
})

test('a map that is zero says why', async (t) => {
  using model = await nets.load('dead')
  const { both } = nets.batch('dead')
  using cam = new Cam(model, { layers: ['stem', 'stem.0'] })
  using found = await cam.explain(both, { target })
  const [stem, convolution] = found.maps.map(({ conditions }) => conditions)
  t.deepEqual(
    stem?.map(({ state }) => state),
    ['zero', 'zero'],
  )
  t.is(stem?.[0]?.reason, "Layer 'stem' returned zeros.")
  t.regex(convolution?.[0]?.reason ?? '', /no gradient at layer 'stem\.0'/)
  using occlusion = new InputPerturbation(model, { method: 'occlusion', window: [8, 8] })
  using occluded = await occlusion.explain(both, { target })
  t.regex(occluded.conditions[1]?.reason ?? '', /No change of the input/)
})

test('a map that is not finite says what is not', async (t) => {
  using model = await nets.load('softmax')
  const { both } = nets.batch('softmax')
  using nan = Tensor.full([1, 3, 16, 16], Number.NaN)
  using mixed = Tensor.cat([both.slice(0, 0, 1), nan])
  using cam = new Cam(model, { layers: ['stem'] })
  using found = await cam.explain(mixed, { target })
  const [fine, broken] = found.maps[0]?.conditions ?? []
  t.deepEqual(fine, { state: 'ok', reason: null })
  t.is(broken?.state, 'not-finite')
  t.is(broken?.reason, "Layer 'stem' returned NaN or an infinity.")
})

test('conditions: what decides between them', (t) => {
  const plain = { zero: false, nonFinite: false, score: 2, ending: null, gradient: true }
  const state = (more: Partial<Parameters<typeof conditionOf>[0]>) => conditionOf({ ...plain, ...more }).state
  t.is(state({}), 'ok')
  t.is(state({ score: 1 }), 'ok', 'a logit of 1')
  t.is(state({ score: 1, ending: 'log_softmax' }), 'ok')
  t.is(state({ score: 1, ending: 'sigmoid' }), 'saturated')
  t.is(state({ score: 1, ending: 'sigmoid', gradient: false }), 'ok')
  t.is(state({ score: 0.999, ending: 'softmax' }), 'ok')
  t.is(state({ score: 0, ending: 'softmax', zero: true }), 'saturated')
  t.is(state({ score: 0, ending: 'softmax', zero: true, zeroGradient: false }), 'zero')
  t.is(state({ zero: true, nonFinite: true }), 'not-finite')
  t.regex(conditionOf({ ...plain, nonFinite: true, dtype: 'float16' }).reason ?? '', /65504/)
  t.regex(conditionOf({ ...plain, nonFinite: true, score: Infinity }).reason ?? '', /The score is Infinity/)
})
