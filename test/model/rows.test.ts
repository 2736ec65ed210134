// Rows of a batch: whose they are, and whether a batch may be made at all. See test/python/unusual_nets.py for the nets.
import test from 'ava'
import {
  AverageDrop,
  Cam,
  explainAll,
  InputAttribution,
  InputPerturbation,
  modelNotes,
  type GradCamError,
  type Tensor,
} from '../../lib/index.js'
import { assertDifferences, assertParity, relativeError } from '../support/parity.js'
import { unusualNets } from '../support/unusual-nets.js'

const nets = await unusualNets()
const target = 1
const window = [8, 8]

test('a layer that sees windows has no map of an image, and says so; a layer before it has', async (t) => {
  using model = await nets.load('windows')
  const { both, one } = nets.batch('windows')
  using inner = new Cam(model, { layers: ['inner'] })
  const several = await t.throwsAsync<GradCamError>(() => inner.explain(both, { target }))
  t.is(several.code, 'ERR_BATCH_SIZE')
  t.regex(several.message, /8 rows for 2 images/)
  t.deepEqual({ ...several.details }, { rows: 8, images: 2 })
  const single = await t.throwsAsync<GradCamError>(() => inner.explain(one, { target }))
  t.is(single.code, 'ERR_LAYER_OUTPUT')
  t.regex(single.message, /'inner' returned 4 rows for 1 image\./)
  using stem = new Cam(model, { layers: ['stem'] })
  using found = await stem.explain(both, { target })
  assertParity(t, found.cam, nets.value('windows', 'stem'), 'stem')
})

test('a trace for one image refuses two, and every method in parts runs it one by one', async (t) => {
  using model = await nets.load('baked')
  const { both, one } = nets.batch('baked')
  using cam = new Cam(model, { layers: ['stem'] })
  const error = await t.throwsAsync<GradCamError>(() => cam.explain(both, { target }))
  t.is(error.code, 'ERR_BATCH_SIZE')
  t.regex(error.message, /1 row for 2 images/)
  using ig = new InputAttribution(model, { method: 'integrated-gradients', steps: 20 })
  using attributed = await ig.explain(one, { target })
  assertParity(t, attributed.attribution, nets.value('baked', 'ig'), 'integrated gradients')
  t.is(attributed.notes[0]?.code, 'ROWS')
  using occlusion = new InputPerturbation(model, { method: 'occlusion', window, stride: window })
  using occluded = await occlusion.explain(one, { target })
  assertDifferences(
    t,
    occluded.attribution,
    nets.value('baked', 'occlusion'),
    nets.value('baked', 'scores'),
    'occlusion',
  )
  const scored: Tensor[] = []
  for (const chunkSize of [1, 32]) {
    using reruns = new Cam(model, { layers: ['stem'], methods: ['scorecam', 'ablationcam'], chunkSize })
    using found = await reruns.explain(one, { target })
    for (const { map } of found.maps) scored.push(map.clone())
  }
  const [score1, ablation1, score32, ablation32] = scored.map((map) => map.toTypedArray()) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ]
  t.true(score1.some((value) => value > 0) && ablation1.some((value) => value > 0))
  t.deepEqual(score32, score1)
  t.deepEqual(ablation32, ablation1)
})

test('a batch job of a trace for one image gives each image its own map', async (t) => {
  using model = await nets.load('baked')
  const { both } = nets.batch('baked')
  const images = both.split(1)
  const expected = nets.value('baked', 'stem')
  const size = expected.data.length / 2
  let count = 0
  const tensors = [0, 1, 0, 1, 1].map((i) => ({ id: String(i), tensor: images[i] as Tensor }))
  for await (using result of explainAll(tensors, { model, layer: 'stem', target, batchSize: 4 })) {
    count++
    if (!result.ok) throw result.error
    const own = expected.data.slice(Number(result.id) * size, (Number(result.id) + 1) * size)
    t.true(relativeError(result.map.toTypedArray(), own) < 1e-5, result.id)
    t.is(result.condition.state, 'ok')
    t.is(result.notes[0]?.code, 'ROWS')
  }
  t.is(count, 5)
})

test('a model that mixes the images of a batch is found out by the first probe, which names the layer', async (t) => {
  using model = await nets.load('mixing')
  const { both, one } = nets.batch('mixing')
  using cam = new Cam(model, { layers: ['stem'] })
  using together = await cam.explain(both, { target })
  assertParity(t, together.cam, nets.value('mixing', 'both'), 'a batch of the caller is explained as it is')
  t.deepEqual(
    together.notes.map(({ code, layer }) => [code, layer]),
    [['ROWS', 'contrast']],
  )
  using ig = new InputAttribution(model, { method: 'integrated-gradients', steps: 20 })
  using attributed = await ig.explain(one, { target })
  assertParity(t, attributed.attribution, nets.value('mixing', 'ig'), 'integrated gradients')
  using occlusion = new InputPerturbation(model, { method: 'occlusion', window, stride: window })
  using occluded = await occlusion.explain(one, { target })
  assertDifferences(
    t,
    occluded.attribution,
    nets.value('mixing', 'occlusion'),
    nets.value('mixing', 'scores'),
    'occlusion',
  )
  const [note] = modelNotes(model)
  t.like(note, { code: 'ROWS', layer: 'contrast' })
  t.deepEqual(occluded.notes, [note])
  t.regex(note?.message ?? '', /at layer 'contrast'/)
  const expected = nets.value('mixing', 'alone')
  const size = expected.data.length / 2
  const tensors = both.split(1).map((tensor, i) => ({ id: String(i), tensor }))
  for await (using result of explainAll(tensors, { model, layer: 'stem', target })) {
    if (!result.ok) throw result.error
    const own = expected.data.slice(result.index * size, (result.index + 1) * size)
    t.true(relativeError(result.map.toTypedArray(), own) < 1e-5, result.id)
  }
})

test('metrics score the copies of a model that mixes images one by one', async (t) => {
  using model = await nets.load('mixing')
  const { both, one } = nets.batch('mixing')
  using map = both.mean(1, true).abs()
  const measure = async (batchSize: number, input: Tensor, maps: Tensor) => {
    using metric = new AverageDrop(model, { batchSize })
    await metric.add(input, maps, { targets: target })
    return metric.result().perImage[0] as number
  }
  t.is(await measure(16, both, map), await measure(1, one, map.slice(0, 0, 1).clone()))
})

test('an ordinary model has no notes, and its probe runs once', async (t) => {
  using model = await nets.load('windows')
  const { both, one } = nets.batch('windows')
  using occlusion = new InputPerturbation(model, { method: 'occlusion', window })
  using found = await occlusion.explain(one, { target })
  t.deepEqual(found.notes, [])
  let calls = 0
  const hook = model.registerForwardHook('stem', () => void calls++)
  using again = await occlusion.explain(both, { target })
  hook.remove()
  t.is(calls, 1 + Math.ceil(again.runs / 8), 'the images as they are, and 8 copies of both at a time')
})

test('an output [C] is that of one image', async (t) => {
  using model = await nets.load('squeezed')
  const { both, one } = nets.batch('squeezed')
  using cam = new Cam(model, { layers: ['stem'] })
  using single = await cam.explain(one, { target })
  assertParity(t, single.cam, nets.value('squeezed', 'one'), 'one')
  using several = await cam.explain(both, { target })
  assertParity(t, several.cam, nets.value('squeezed', 'both'), 'both')
})
