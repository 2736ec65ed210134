// Models that change their own state, fork, or have operators without a derivative. See test/python/unusual_nets.py.
import test from 'ava'
import { Cam, InputPerturbation, modelNotes, type GradCamError } from '../../lib/index.js'
import { assertDifferences, assertParity, relativeError } from '../support/parity.js'
import { unusualNets } from '../support/unusual-nets.js'

const nets = await unusualNets()
const target = 1
const window = [8, 8]

for (const [name, what] of [
  ['remembering', /'average\.seen' \(aten::mul_\)/],
  ['listing', /'past' \(aten::append\)/],
  ['keeping', /'packed\.scale' \(an assignment\)/],
] as const) {
  test(`passes leave the state of ${name} as it was; a forward of one's own changes it`, async (t) => {
    using model = await nets.load(name)
    const { one } = nets.batch(name)
    for (const execution of ['auto', 'hooked'] as const) {
      using cam = new Cam(model, { layers: ['last'], execution })
      for (let run = 0; run < 3; run++) {
        using found = await cam.explain(one, { target })
        assertParity(t, found.cam, nets.value(name, 'first'), `${execution}, run ${run}`)
        t.is(found.execution.path, 'hooked')
        t.is(found.notes[0]?.code, 'STATE')
      }
    }
    using required = new Cam(model, { layers: ['last'], execution: 'split' })
    const refused = await t.throwsAsync<GradCamError>(() => required.explain(one, { target }))
    t.is(refused.code, 'ERR_NOT_SPLITTABLE')
    t.regex(modelNotes(model)[0]?.message ?? '', what)
    using occlusion = new InputPerturbation(model, { method: 'occlusion', window, stride: window })
    using occluded = await occlusion.explain(one, { target })
    assertDifferences(t, occluded.attribution, nets.value(name, 'occlusion'), nets.value(name, 'scores'), 'occlusion')
    const maps: Float32Array[] = []
    for (const chunkSize of [1, 8]) {
      using reruns = new Cam(model, { layers: ['last'], methods: ['ablationcam', 'scorecam'], chunkSize })
      using found = await reruns.explain(one, { target })
      for (const { map } of found.maps) maps.push(map.toTypedArray() as Float32Array)
    }
    // Batches of eight are not rounded as images alone are.
    for (const [at, map] of maps.slice(2).entries()) t.true(relativeError(map, maps[at]!) < 1e-5)
    using _first = await model.forward(one)
    using second = await model.forward(one)
    assertParity(t, second, nets.value(name, 'second run'), 'the second forward')
  })
}

test('an object that each run makes is not state, whatever is set of it', async (t) => {
  using model = await nets.load('packing')
  const { one } = nets.batch('packing')
  t.deepEqual(modelNotes(model), [])
  for (const layer of ['stem', 'last']) {
    using cam = new Cam(model, { layers: [layer] })
    using found = await cam.explain(one, { target })
    assertParity(t, found.cam, nets.value('packing', layer), layer)
    t.deepEqual(found.notes, [])
    if (found.execution.path === 'hooked') t.regex(found.execution.why, /objects that are not modules/)
  }
})

test('a module that is forked twice is called one after the other', async (t) => {
  using model = await nets.load('forking')
  const { both } = nets.batch('forking')
  for (const [call, expected] of [
    [0, 'first'],
    [1, 'last'],
    [undefined, 'last'],
  ] as const) {
    using cam = new Cam(model, { layers: ['stem'], ...(call !== undefined && { call }) })
    for (let run = 0; run < 20; run++) {
      using found = await cam.explain(both, { target })
      assertParity(t, found.cam, nets.value('forking', expected), `call ${call}, run ${run}`)
      t.is(found.maps[0]?.calls, 2)
    }
  }
})

test('futures in a list, too', async (t) => {
  using model = await nets.load('forking-list')
  const { both } = nets.batch('forking-list')
  using cam = new Cam(model, { layers: ['stem', 'after'] })
  for (let run = 0; run < 20; run++) {
    using found = await cam.explain(both, { target })
    assertParity(t, found.get('stem'), nets.value('forking-list', 'last'), `stem, run ${run}`)
    assertParity(t, found.get('after'), nets.value('forking-list', 'after'), `after, run ${run}`)
  }
})

test('an operator without a derivative on one way to the score is an error that names it', async (t) => {
  using plain = await nets.load('float-heads')
  using model = await nets.load('quantized-head')
  const { both } = nets.batch('quantized-head')
  using before = new Cam(plain, { layers: ['stem'] })
  using found = await before.explain(both, { target })
  assertParity(t, found.cam, nets.value('float-heads', 'stem'), 'before it is quantized')
  for (const execution of ['auto', 'hooked'] as const) {
    using cam = new Cam(model, { layers: ['stem'], execution })
    const error = await t.throwsAsync<GradCamError>(() => cam.explain(both, { target }))
    t.is(error.code, 'ERR_NO_GRADIENT')
    t.deepEqual(error.details, { operators: ['quantized::linear_dynamic'] })
    t.regex(error.message, /before it is quantized/)
  }
  using free = new Cam(model, { layers: ['stem'], methods: ['eigencam'] })
  using without = await free.explain(both, { target })
  t.is(without.maps[0]?.conditions[0]?.state, 'ok')
})
