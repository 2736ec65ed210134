// Outputs that are not one tensor [N, C], against eager PyTorch.
import test from 'ava'
import {
  Cam,
  InputAttribution,
  InputPerturbation,
  type GradCamError,
  type Target,
  type Value,
} from '../../lib/index.js'
import { assertParity } from '../support/parity.js'
import { unusualNets } from '../support/unusual-nets.js'

const nets = await unusualNets('ways_in_nets.py')

const executions = ['auto', 'hooked'] as const

for (const [name, of] of [
  ['nested', ['y', 0]],
  ['logits', ['logits']],
  ['only', ['scores']],
] as const)
  for (const execution of executions)
    test(`${name}, ${execution}: the part that a class is of is found and said, and can be named`, async (t) => {
      using model = await nets.load(name)
      const { both } = nets.batch(name)
      using cam = new Cam(model, { layers: ['stem'], methods: ['gradcam', 'scorecam'], execution })
      using found = await cam.explain<Value>(both, { target: 3 })
      assertParity(t, found.cam, nets.value(name, 'class 3'), 'chosen')
      t.deepEqual(found.of, of)
      using named = await cam.explain<Value>(both, { target: { kind: 'class', class: 3, of } })
      assertParity(t, named.cam, nets.value(name, 'class 3'), 'named')
      t.is(named.of, undefined)
      t.deepEqual(found.get('stem', 'scorecam').toTypedArray(), named.get('stem', 'scorecam').toTypedArray())
    })

test('a part that is chosen is also that of explainTop, of attributions and of perturbations', async (t) => {
  using model = await nets.load('logits')
  const { both } = nets.batch('logits')
  using cam = new Cam(model, { layers: ['stem'] })
  const ranked = await cam.explainTop(both, 2)
  const named = await cam.explainTop(both, 2, { of: 'logits' })
  t.deepEqual(
    ranked.map(({ targets }) => targets),
    named.map(({ targets }) => targets),
  )
  for (const one of [...ranked, ...named]) one.dispose()
  using attribution = new InputAttribution(model, { method: 'saliency' })
  using gradient = await attribution.explain<Value>(both, { target: 3 })
  t.deepEqual(gradient.of, ['logits'])
  using rise = new InputPerturbation(model, { method: 'rise', masks: 4 })
  using masked = await rise.explain<Value>(both, { target: 3 })
  t.deepEqual(masked.of, ['logits'])
})

test('where several parts could be meant, the error names them', async (t) => {
  using model = await nets.load('heads')
  const { both } = nets.batch('heads')
  using cam = new Cam(model, { layers: ['stem'] })
  const error = await t.throwsAsync<GradCamError>(cam.explain<Value>(both, { target: 1 }))
  t.is(error.code, 'ERR_TARGET')
  t.regex(error.message, /0 \[2, 5\], 1 \[2, 3\].*`of`/)
  using other = await cam.explain<Value>(both, { target: { kind: 'class', class: 2, of: 1 } })
  assertParity(t, other.cam, nets.value('heads', 'class 2 of 1'), 'class 2 of 1')
  using top = await cam.explain<Value>(both, { target: { kind: 'class', of: 1 } })
  assertParity(t, top.cam, nets.value('heads', 'top of 1'), 'top of 1')
  t.deepEqual(top.targets, Array.from(nets.value('heads', 'tops').data, Number))
})

const elements: readonly (readonly [net: string, key: string, target: Target<Value>])[] = [
  ['dense', 'all of 2', { kind: 'element', at: [2] }],
  ['dense', 'all of 2', { kind: 'element', at: [2, 'sum', 'sum'] }],
  ['dense', 'pixel', { kind: 'element', at: [2, 3, -1] }],
  ['dense', 'mean', { kind: 'element', at: [-3, 'mean'], sign: -1 }],
  ['sequence', 'step', { kind: 'element', at: [4, 1] }],
  ['anchors', 'best', { kind: 'element', at: [5, 'max'] }],
  ['anchors', 'minus best', { kind: 'element', at: [5, 'max'], sign: -1 }],
]
for (const [name, key, target] of elements)
  test(`${name}: ${JSON.stringify(target)}`, async (t) => {
    using model = await nets.load(name)
    const { both, one } = nets.batch(name)
    for (const execution of executions) {
      using cam = new Cam(model, { layers: ['stem'], execution })
      using found = await cam.explain<Value>(both, { target })
      assertParity(t, found.cam, nets.value(name, key), execution)
      t.deepEqual(found.targets, [-1, -1])
    }
    // A mean over copies of one image alone is the same map.
    using alone = new Cam(model, { layers: ['stem'] })
    using first = await alone.explain<Value>(one, { target })
    const all = nets.value(name, key)
    const size = all.data.length / 2
    assertParity(t, first.cam, { shape: [1, ...all.shape.slice(1)], data: all.data.slice(0, size) as never }, 'alone')
  })

test('an element of a segmentation at the input, in copies and by perturbation', async (t) => {
  using model = await nets.load('dense')
  const { both } = nets.batch('dense')
  const target: Target<Value> = { kind: 'element', at: [2] }
  using saliency = new InputAttribution(model, { method: 'saliency' })
  using gradient = await saliency.explain<Value>(both, { target })
  assertParity(t, gradient.attribution, nets.value('dense', 'saliency'), 'saliency')
  assertParity(t, { shape: [2], toTypedArray: () => gradient.scores }, nets.value('dense', 'scores'), 'scores')
  using integrated = new InputAttribution(model, { method: 'integrated-gradients', steps: 64 })
  using path = await integrated.explain<Value>(both, { target })
  // The score is piecewise linear along the path: 64 points of Gauss and Legendre leave what the kinks leave.
  const [most] = [...gradient.scores].map(Math.abs).sort((a, b) => b - a) as [number]
  t.true(
    (path.delta ?? [NaN]).every((delta) => Math.abs(delta) < 0.05 * most),
    String(path.delta),
  )
  using occlusion = new InputPerturbation(model, { method: 'occlusion', window: [16, 24], stride: [16, 24] })
  using covered = await occlusion.explain<Value>(both, { target })
  t.is(covered.attribution.shape.join(), '2,3,16,24')
  using score = new Cam(model, { layers: ['stem'], methods: ['ablationcam'] })
  using ablated = await score.explain<Value>(both, { target })
  t.false(ablated.maps[0]?.allZero.every(Boolean))
})

test('what an element must be', async (t) => {
  using model = await nets.load('dense')
  const { both } = nets.batch('dense')
  using cam = new Cam(model, { layers: ['stem'] })
  const refused = async (target: unknown, code: GradCamError['code'], message: RegExp): Promise<void> => {
    const error = await t.throwsAsync<GradCamError>(async () => cam.explain(both, { target: target as never }))
    t.is(error.code, code)
    t.regex(error.message, message)
  }
  await refused({ kind: 'element', at: [4] }, 'ERR_TARGET_OUT_OF_RANGE', /a dimension of 4 has no index 4/)
  await refused({ kind: 'element', at: [-5] }, 'ERR_TARGET_OUT_OF_RANGE', /no index -5/)
  await refused({ kind: 'element', at: [1, 2, 3, 4] }, 'ERR_TARGET', /4 dimensions.*\[2, 4, 16, 24\]/)
  for (const at of [undefined, 1, 'max', [1.5], ['min'], [null]])
    await refused({ kind: 'element', at }, 'ERR_TARGET', /`at` must be an array/)
  await refused({ kind: 'element', at: [], class: 1 }, 'ERR_TARGET', /no option 'class'/)
  await refused(1, 'ERR_TARGET', /\[2, 4, 16, 24\].*kind: 'element'/)
})

test('a method that needs no score runs on outputs of any shape, and says of them that there is none', async (t) => {
  for (const name of ['dense', 'anchors', 'sequence', 'heads']) {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    using cam = new Cam(model, { layers: ['stem'], methods: ['eigencam'] })
    using found = await cam.explain<Value>(both)
    t.deepEqual([found.targets, found.scores], [[], []])
    t.is(found.cam.shape.join(), '2,1,8,12')
    // A target that is given has to fit all the same.
    await t.throwsAsync(cam.explain<Value>(both, { target: 1 }), { code: 'ERR_TARGET' })
    using graded = new Cam(model, { layers: ['stem'], methods: ['eigencam', 'gradcam'] })
    await t.throwsAsync(graded.explain<Value>(both), { code: 'ERR_TARGET' })
  }
})
