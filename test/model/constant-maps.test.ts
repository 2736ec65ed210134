// Maps in which no spatial position stands out, and scores that nothing changes. See test/python/constant_nets.py.
import test from 'ava'
import { join } from 'node:path'
import {
  Cam,
  explainAll,
  framingOf,
  InputAttribution,
  InputPerturbation,
  readPreprocess,
  Tensor,
  toMapLevels,
  type CamMethod,
  type MapCondition,
} from '../../lib/index.js'
import { drawGrey } from '../../lib/images/draw-map.js'
import type { JobResultLine } from '../../lib/jobs/job-line.js'
import { toItem } from '../../lib/report/item.js'
import { drawNoise } from '../support/drawings.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { assertParity, relativeError } from '../support/parity.js'
import { unusualNets } from '../support/unusual-nets.js'
import { lines as manifest } from '../support/workplace.js'

const nets = await unusualNets('constant_nets.py')
const target = 1
const states = (conditions: readonly MapCondition[] | undefined) => conditions?.map(({ state }) => state)

/** How far the values of an image of eager PyTorch lie from each other, relative to the largest, in units of 2^-23. */
function roundings(name: string): number {
  const { data } = nets.value(name, 'cam')
  const first = Array.from(data.slice(0, data.length / 2), Number)
  return (Math.max(...first) - Math.min(...first)) / Math.max(...first.map(Math.abs)) / 2 ** -23
}

/** Nets, and the layer of each that is the same at every position. */
const constantLayers = [
  ['context', 'spread'],
  ['around', 'around'],
  ['around-double', 'around'],
] as const

test('eager PyTorch finds what these nets are for: positions that are equal, or differ by rounding', (t) => {
  t.is(roundings('context'), 0)
  const single = roundings('around')
  t.true(single > 0 && single < 32, `${single}`)
  const double = roundings('around-double')
  t.true(double > 0 && double < 1e-6, `${double}`)
})

test('a map with one value at every position is constant, in its own size and normalised', async (t) => {
  for (const [name, layer] of constantLayers) {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    const methods: CamMethod[] = ['gradcam', 'hirescam', 'layercam', 'scorecam']
    for (const compat of ['paper', 'captum', 'pytorch-grad-cam'] as const) {
      using cam = new Cam(model, { layers: [layer], methods, compat })
      using found = await cam.explain(both, { target })
      if (compat === 'paper') assertParity(t, found.cam, nets.value(name, 'cam'), name)
      for (const { method, map, conditions } of found.maps) {
        using zeros = map.eq(0)
        using all = zeros.all()
        // Without a negative class gradient; what is zero says so.
        const expected = Number(all.toTypedArray()[0]) === 1 && compat !== 'pytorch-grad-cam' ? 'zero' : 'constant'
        t.deepEqual(states(conditions), [expected, expected], `${name} ${method} ${compat}`)
        if (compat === 'pytorch-grad-cam')
          t.is(Number(all.toTypedArray()[0]), 1, `${name} ${method}: no rounding is stretched`)
      }
    }
    using stem = new Cam(model, { layers: ['stem'], compat: 'captum' })
    using other = await stem.explain(both, { target })
    t.deepEqual(states(other.maps[0]?.conditions), ['ok', 'ok'], `${name}: a layer before`)
    using two = new Cam(model, { layers: [layer, 'stem'], aggregate: 'mean' })
    using mixed = await two.explain(both, { target })
    t.deepEqual(states(mixed.maps[0]?.conditions), ['ok', 'ok'], `${name}: with another layer`)
    using same = new Cam(model, { layers: [layer, layer], aggregate: 'max' })
    using none = await same.explain(both, { target })
    t.like(none.maps[0]?.conditions[0], { state: 'constant' })
    t.regex(none.maps[0]?.conditions[0]?.reason ?? '', /^The map of the layers has the same value/)
  }
})

test('no map is made of the rounding of a layer that is the same at every position', async (t) => {
  const methods: CamMethod[] = ['eigencam', 'eigengradcam', 'segeigencam', 'kpcacam']
  for (const [name, layer] of constantLayers) {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    for (const compat of ['paper', 'pytorch-grad-cam'] as const) {
      using cam = new Cam(model, { layers: [layer], methods, compat })
      using found = await cam.explain(both, { target })
      for (const { method, map, conditions } of found.maps) {
        t.true(
          map.toTypedArray().every((one) => Number(one) === 0),
          `${name} ${method} ${compat}`,
        )
        t.deepEqual(states(conditions), ['zero', 'zero'], `${name} ${method} ${compat}`)
      }
    }
    // The mask of a channel that is constant is 0: all channels score what zeros score, and weigh the same.
    using masked = new Cam(model, {
      layers: [layer],
      methods: ['scorecam', 'iscam', 'layer-activation'],
      compat: 'captum',
    })
    using found = await masked.explain(both, { target })
    const [scoreCam, isCam, sum] = found.maps.map(({ map }) => Array.from(map.toTypedArray(), Number))
    const channels = 6
    const mean = sum!.map((one) => one / channels)
    for (const map of [scoreCam!, isCam!]) t.true(relativeError(map, mean) < 1e-5, `${name}: ${map[0]} ${mean[0]}`)
  }
})

test('a layer with a single spatial position is named as one', async (t) => {
  using model = await nets.load('pooled')
  const { both } = nets.batch('pooled')
  using cam = new Cam(model, { layers: ['pool', 'stem'], compat: 'captum' })
  using found = await cam.explain(both, { target })
  const [pool, stem] = found.maps
  t.deepEqual(states(pool?.conditions), ['constant', 'constant'])
  t.regex(pool?.conditions[0]?.reason ?? '', /^Layer 'pool' returned a single spatial position/)
  t.deepEqual(states(stem?.conditions), ['ok', 'ok'])
  using augmented = await cam.explain(both, { target, augment: true })
  t.deepEqual(
    augmented.maps.map(({ conditions }) => states(conditions)),
    [
      ['constant', 'constant'],
      ['ok', 'ok'],
    ],
  )
})

test('an input gradient that is the same at every pixel of a channel is constant', async (t) => {
  using model = await nets.load('means')
  const { both } = nets.batch('means')
  using saliency = new InputAttribution(model, { method: 'saliency' })
  using found = await saliency.explain(both, { target })
  const { shape, data } = nets.value('means', 'gradient')
  assertParity(t, found.attribution, { shape, data: Float32Array.from(Array.from(data, Number), Math.abs) }, 'saliency')
  t.deepEqual(states(found.conditions), ['constant', 'constant'])
  using product = new InputAttribution(model, { method: 'input-x-gradient' })
  using multiplied = await product.explain(both, { target })
  t.deepEqual(states(multiplied.conditions), ['ok', 'ok'])
})

test('a score that no change changes beyond rounding is said by every method that changes things', async (t) => {
  for (const [name, expected] of [
    ['deaf', /rounding|zero/],
    ['blind', /rounding|zero/],
    ['deaf-double', /ok/],
  ] as const) {
    using model = await nets.load(name)
    const { both } = nets.batch(name)
    for (const options of [
      // It explains probabilities, where a rounding of the logits weighs more.
      ...(name === 'deaf' ? [] : [{ method: 'rise', masks: 12, seed: 1 } as const]),
      { method: 'occlusion', window: [8, 8], stride: [8, 8] },
      { method: 'lime', samples: 12, seed: 1 },
      { method: 'shapley-sampling', samples: 2, seed: 1 },
    ] as const) {
      using perturbation = new InputPerturbation(model, options)
      using found = await perturbation.explain(both, { target })
      for (const state of states(found.conditions) ?? []) t.regex(state, expected, `${name} ${options.method}`)
    }
    using cam = new Cam(model, {
      layers: ['stem'],
      methods: ['scorecam', 'ablationcam', 'iscam', 'gradcam'],
      compat: 'captum',
    })
    using found = await cam.explain(both, { target })
    for (const { method, conditions } of found.maps)
      for (const state of states(conditions) ?? [])
        t.regex(state, method === 'gradcam' && name !== 'blind' ? /ok/ : expected, `${name} ${method}`)
  }
  using model = await nets.load('blind')
  using rise = new InputPerturbation(model, { method: 'rise', masks: 12, seed: 1 })
  using found = await rise.explain(nets.batch('blind').both, { target })
  t.like(found.conditions[1], { state: 'rounding' })
  t.regex(found.conditions[1]?.reason ?? '', /by more than rounding: the map shows rounding, or the masks alone/)
})

test('what a model of one image at a time says of a later image is said of that image', async (t) => {
  using model = await nets.load('one-at-a-time')
  const { both, one } = nets.batch('one-at-a-time')
  using black = Tensor.zeros(one.shape)
  using mixed = Tensor.cat([both, black])
  using cam = new Cam(model, { layers: ['stem'] })
  using found = await cam.explain(mixed, { target })
  using first = found.cam.slice(0, 0, 2)
  assertParity(t, first, nets.value('one-at-a-time', 'cam'), 'the first two')
  const conditions = found.maps[0]?.conditions ?? []
  t.is(conditions.length, 3)
  t.is(conditions[2]?.reason, "Layer 'stem' returned zeros.")
  t.notRegex(conditions[0]?.reason ?? '', /returned zeros/)
})

test('neither a peak nor rounding errors are drawn of a constant map', async (t) => {
  const folder = temporaryFolder(t)
  const image = await drawNoise(join(folder, 'image.png'), 16)
  const flags = [
    '--model',
    nets.file('around'),
    '--layer',
    'around',
    '--target',
    '1',
    '--preprocess',
    '{"resize":[16,16]}',
    '--out',
  ]
  const explained = gradcam(['explain', image, ...flags, join(folder, 'explained'), '--json'])
  t.is(explained.code, 0, explained.stderr)
  const { peak, condition } = JSON.parse(explained.stdout) as { peak: object | null; condition: MapCondition }
  t.is(condition.state, 'constant')
  t.is(peak, null)
  const said = gradcam(['explain', image, ...flags, join(folder, 'said')])
  t.regex(said.stdout, /constant map: The map of layer 'around' has the same value at every spatial position/)
  t.notRegex(said.stdout, /peak at/)

  const out = join(folder, 'out')
  const ended = gradcam(['batch', image, ...flags, out])
  t.is(ended.code, 0, ended.stderr)
  t.regex(`${ended.stdout}${ended.stderr}`, /1 constant/)
  const [line] = manifest(out) as [JobResultLine]
  t.is(line.condition?.state, 'constant')
  const item = toItem(line, null, null)
  t.regex(item.facts['Map'] ?? '', /has the same value/)
  t.is(item.where, 'no position of it stands out')

  using model = await nets.load('around')
  const tensors = [{ tensor: nets.batch('around').one }]
  for await (using result of explainAll(tensors, { model, layer: 'around', target })) {
    if (!result.ok) throw result.error
    t.is(result.condition.state, 'constant')
    // Rounding errors, of which a normalised map would be made.
    const data = result.map.toTypedArray() as Float32Array
    t.true(new Set(data).size > 1)
    const [height, width] = result.map.shape.slice(-2) as [number, number]
    t.deepEqual([...Buffer.from(toMapLevels({ data, height, width }).levels, 'base64')], Array(height * width).fill(0))
    const framing = framingOf([16, 16], readPreprocess({ resize: [16, 16] }))
    const drawn = await drawGrey({ data, height, width }, [16, 16], framing, Uint16Array)
    t.deepEqual([...drawn], Array(256).fill(0))
  }
})
