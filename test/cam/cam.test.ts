import { join } from 'node:path'
import test from 'ava'
import {
  Cam,
  GradCam,
  ScriptModule,
  Tensor,
  camMethods,
  type CamAggregate,
  type CamMethod,
  type CamOptions,
} from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'
import { heldTensors, settledLiveTensors } from '../support/live-tensors.js'
import { smallNets } from '../support/models.js'
import { assertSame, relativeError } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'

const nets = await smallNets()
const all = (Object.keys(camMethods) as CamMethod[]).filter((method) => method !== 'cam')

const numbers = (tensor: Tensor) => Array.from(tensor.toTypedArray() as Float64Array, Number)
const values = (tensor: Tensor) => ({ shape: [...tensor.shape], data: Float64Array.from(numbers(tensor)) })
const load = (net: string) => ScriptModule.load(nets.file(net))

test.serial('many methods in one pass give what each gives alone', async (t) => {
  using model = await load('curved')
  using input = toTensor(nets.input('curved'))
  using together = new Cam(model, { layers: ['features', 'mix'], methods: all, seed: 7 })
  using found = await together.explain(input, { target: 1 })
  for (const method of all) {
    using alone = new Cam(model, { layers: ['features', 'mix'], methods: [method], seed: 7 })
    using single = await alone.explain(input, { target: 1 })
    for (const layer of ['features', 'mix'])
      assertSame(t, single.get(layer), values(found.get(layer, method)), `${method} at ${layer}`, 1e-12)
  }
})

test.serial('a map does not depend on the other images of the batch', async (t) => {
  using model = await load('curved')
  using input = toTensor(nets.input('curved'))
  using cam = new Cam(model, { layers: ['features'], methods: all, compat: 'pytorch-grad-cam' })
  using batch = await cam.explain(input, { target: [0, 1, 2] })
  using second = input.narrow(0, 1, 1)
  using alone = await cam.explain(second, { target: 1 })
  for (const method of all) {
    using row = batch.get(undefined, method).narrow(0, 1, 1)
    assertSame(t, alone.get(undefined, method), values(row), method, 1e-9)
  }
})

test.serial('methods that look at activations alone differentiate nothing', async (t) => {
  using model = await load('detached')
  using input = toTensor(nets.input('detached'))
  using plain = new GradCam(model, ['features'])
  await t.throwsAsync(plain.explain(input, { target: 0 }), { code: 'ERR_NO_GRADIENT' })
  const methods = all.filter((method) => !camMethods[method].target)
  for (const method of ['eigencam', 'kpcacam', 'fem', 'randomcam'] as const) t.true(methods.includes(method), method)
  using cam = new Cam(model, { layers: ['features'], methods })
  using found = await cam.explain(input, { target: 0 })
  t.is(found.scores.length, input.shape[0]!)
  await cam.forward(input)
  await cam.backward(0)
  t.throws(() => cam.gradient('features'), { code: 'ERR_NO_GRADIENT' })
  for (const method of methods)
    t.true(
      numbers(found.get('features', method)).some((value) => value > 0),
      method,
    )
})

test.serial('Shapley-CAM is Grad-CAM where the score is piecewise linear, and is not where it is curved', async (t) => {
  for (const [net, layer, same] of [
    ['pooled_linear', 'features', true],
    ['curved', 'features', false],
  ] as const) {
    using model = await load(net)
    using input = toTensor(nets.input(net))
    using cam = new Cam(model, { layers: [layer], methods: ['shapleycam', 'gradcam'], compat: 'captum' })
    using found = await cam.explain(input, { target: 1 })
    const error = relativeError(numbers(found.cam), numbers(found.get(layer, 'gradcam')))
    t.is(error < 1e-10, same, `${net}: ${error}`)
    t.is(error > 0.01, !same, `${net}: ${error}`)
  }
})

test.serial(
  'CAM is Grad-CAM times the number of spatial positions, and is refused where the head is another',
  async (t) => {
    using model = await load('pooled_linear')
    using input = toTensor(nets.input('pooled_linear'))
    using cam = new Cam(model, { layers: ['features'], methods: ['cam', 'gradcam'], compat: 'captum' })
    using found = await cam.explain(input, { target: 2 })
    using scaled = found.get('features', 'gradcam').mul(16 * 20)
    assertSame(t, found.cam, values(scaled), 'CAM', 1e-10)
    using other = await load('curved')
    using refused = new Cam(other, { layers: ['features'], methods: ['cam'] })
    await t.throwsAsync(refused.explain(input), { code: 'ERR_LAYER_OUTPUT', message: /gradient differs/ })
  },
)

test.serial('CAM before a ReLU that is not a layer: the logit is the mean of the map and a bias', async (t) => {
  using model = await ScriptModule.load(join(packageRoot, 'samples', 'animals-densenet.pt'))
  using cam = new Cam(model, { layers: ['features'], methods: ['cam'], compat: 'captum' })
  const biases: number[][] = []
  for (const seed of [1, 2, 3]) {
    const pixels = Float32Array.from({ length: 3 * 64 * 96 }, (_, i) => Math.sin(seed * i) + Math.cos(i / (9 + seed)))
    using input = Tensor.from(pixels, [1, 3, 64, 96])
    biases.push([])
    for (const target of [0, 4]) {
      using found = await cam.explain(input, { target })
      const map = numbers(found.cam)
      const mean = map.reduce((sum, value) => sum + value, 0) / map.length
      t.true(map.some((value) => value !== 0))
      biases.at(-1)?.push((found.scores[0] as number) - mean)
    }
  }
  const [first, ...others] = biases as [number[], ...number[][]]
  for (const other of others)
    other.forEach((bias, i) => t.true(Math.abs(bias - (first[i] as number)) < 1e-4, `${bias} ${first[i]}`))
})

test.serial('random maps are made again by their seed, and differ between seeds and layers', async (t) => {
  using model = await load('curved')
  using input = toTensor(nets.input('curved'))
  const make = async (seed: number) => {
    using cam = new Cam(model, { layers: ['mix', 'mix'], methods: ['randomcam'], compat: 'captum', seed })
    using found = await cam.explain(input)
    return found.maps.map(({ map }) => numbers(map))
  }
  const [first, again, other] = [await make(1), await make(1), await make(9)]
  t.deepEqual(first, again)
  t.true(relativeError(first[0]!, other[0]!) > 0.1)
  t.true(relativeError(first[0]!, first[1]!) > 0.1)
})

test.serial('several layers are combined by mean, maximum and product', async (t) => {
  using model = await load('curved')
  using input = toTensor(nets.input('curved'))
  const layers = ['features', 'mix']
  const make = async (options: Partial<CamOptions>) => {
    using cam = new Cam(model, { layers, methods: ['hirescam'], ...options })
    using found = await cam.explain(input, { target: 3 })
    return found.maps.map(({ map }) => numbers(map))
  }
  const stretch = (map: number[]) => {
    const size = map.length / 3
    return [0, 1, 2].flatMap((image) => {
      const part = map.slice(image * size, (image + 1) * size)
      const low = Math.min(...part)
      const high = Math.max(...part) - low
      return part.map((value) => (value - low) / (high + 1e-7))
    })
  }
  const [first, second] = (await make({})).map(stretch) as [number[], number[]]
  const combine: Record<Exclude<CamAggregate, 'each'>, (a: number, b: number) => number> = {
    mean: (a, b) => (a + b) / 2,
    max: Math.max,
    product: (a, b) => a * b,
  }
  for (const [aggregate, fn] of Object.entries(combine)) {
    const maps = await make({ aggregate: aggregate as CamAggregate })
    t.is(maps.length, 1)
    const expected = stretch(first.map((value, i) => fn(value, second[i]!)))
    t.true(relativeError(maps[0]!, expected) < 1e-9, aggregate)
  }
  const pgc = await make({ compat: 'pytorch-grad-cam' })
  t.deepEqual(pgc, await make({ aggregate: 'mean' }))
  const each = await make({ compat: 'pytorch-grad-cam', aggregate: 'each' })
  t.is(each.length, 2)
  t.true(relativeError(each[1]!, stretch(second)) < 1e-9)
})

test.serial(
  'the one map of one layer has its name where maps are aggregated; that of several layers has none',
  async (t) => {
    using model = await load('curved')
    using input = toTensor(nets.input('curved'))
    const methods = ['gradcam', 'layercam'] as const
    using one = new Cam(model, { layers: ['features'], methods, compat: 'pytorch-grad-cam' })
    using found = await one.explain(input)
    t.true(found.get('features', 'layercam') === found.maps[1]?.map)
    t.throws(() => found.get('other', 'layercam'), { code: 'ERR_LAYER_NOT_FOUND' })
    using output = await one.forward(input)
    await one.backward('argmax')
    using kept = one.get('features', 'layercam')
    t.deepEqual(numbers(kept), numbers(found.get('features', 'layercam')))
    t.deepEqual(output.shape, found.output.shape)
    const layers = ['features', 'mix']
    using two = new Cam(model, { layers, methods, compat: 'pytorch-grad-cam' })
    using both = await two.explain(input)
    t.throws(() => both.get('features', 'layercam'), { code: 'ERR_INVALID_ARGUMENT', message: /were aggregated/ })
    t.true(both.get(undefined, 'layercam') === both.maps[1]?.map)
  },
)

test.serial('a result says what it explained', async (t) => {
  using model = await load('curved')
  using input = toTensor(nets.input('curved'))
  using broken = input.clone()
  using cam = new Cam(model, { layers: ['features'], methods: ['gradcam', 'eigencam'] })
  using infinite = Tensor.full([1, 3, 16, 20], Number.POSITIVE_INFINITY, { dtype: 'float64' })
  using image = input.narrow(0, 0, 1)
  using black = image.mul(0)
  using mixed = Tensor.cat([image, infinite, black])
  using found = await cam.explain(mixed, { target: [4, 4, 4] })
  t.deepEqual(found.targets, [4, 4, 4])
  t.is(found.scores.length, 3)
  const [gradcam, eigencam] = found.maps
  t.like(gradcam, { method: 'gradcam', layer: 'features', layerShape: [3, 8, 16, 20] })
  t.deepEqual(gradcam?.nonFinite, [false, true, false])
  t.deepEqual(eigencam?.nonFinite, [false, true, false])
  t.is(gradcam?.allZero[0], false)

  using negative = new Cam(model, { layers: ['features'], methods: ['gradcam'] })
  using up = await negative.explain(broken, { target: { kind: 'class', class: 0 } })
  using down = await negative.explain(broken, { target: { kind: 'class', class: 0, sign: -1 } })
  for (const index of [0, 1, 2]) t.is(up.scores[index], -down.scores[index]!)
  t.deepEqual(
    up.maps[0]?.allZero,
    [0, 1, 2].map((index) =>
      numbers(up.cam)
        .slice(index * 320, index * 320 + 320)
        .every((value) => value === 0),
    ),
  )
})

test.serial('augmented passes explain the class of the unchanged image, however it was asked for', async (t) => {
  using model = await load('curved')
  using input = toTensor(nets.input('curved'))
  using cam = new Cam(model, { layers: ['features'] })
  using plain = await cam.explain(input)
  using given = await cam.explain(input, { target: plain.targets, augment: true })
  t.true(relativeError(numbers(given.cam), numbers(plain.cam)) > 0.01)
  for (const target of [undefined, 'argmax', { kind: 'class' }] as const) {
    using found = await cam.explain(input, { target, augment: true })
    t.deepEqual(numbers(found.cam), numbers(given.cam))
    t.deepEqual(found.targets, plain.targets)
  }
  await t.throwsAsync(cam.explain([input, 1], { augment: true }), { code: 'ERR_INVALID_ARGUMENT' })
})

test.serial('the top classes from one forward are what each gives by itself', async (t) => {
  using model = await load('plain')
  using input = toTensor(nets.input('plain'))
  using cam = new Cam(model, { layers: ['features'] })
  const top = await cam.explainTop(input, 3)
  t.is(top.length, 3)
  for (const [rank, found] of top.entries()) {
    const rows = found.output as unknown as Tensor
    const logits = rows.tolist() as number[][]
    const expected = logits.map((row) => row.indexOf(row.toSorted((a, b) => b - a)[rank]!))
    t.deepEqual(found.targets, expected)
    using alone = await cam.explain(input, { target: expected })
    assertSame(t, found.cam, values(alone.cam), `rank ${rank}`, 1e-6)
    found.dispose()
  }
  await t.throwsAsync(cam.explainTop(input, 6), { code: 'ERR_TARGET', message: /5/ })
})

test.serial('tokens are a grid by name, by the given one, and by permutation', async (t) => {
  using model = await load('vit')
  using input = toTensor(nets.input('vit'))
  const make = async (reshape: NonNullable<CamOptions['reshape']>) => {
    using cam = new Cam(model, { layers: ['blocks.0.norm1'], methods: ['hirescam'], reshape })
    using found = await cam.explain(input, { target: 1 })
    t.deepEqual([...found.cam.shape], [3, 1, 4, 6])
    t.deepEqual(found.maps[0]?.layerShape, [3, 25, 32])
    return numbers(found.cam)
  }
  const named = await make('vit')
  t.deepEqual(await make({ tokens: [4, 6], skip: 1 }), named)
  t.deepEqual(await make({ tokens: 'input', skip: 1 }), named)
  const layers = ['blocks.0.norm1']
  using unskipped = new Cam(model, { layers, reshape: { tokens: 'input' } })
  await t.throwsAsync(unskipped.explain(input), { code: 'ERR_LAYER_OUTPUT', message: /25 tokens/ })
  using missing = new Cam(model, { layers: ['blocks.0.norm1'], reshape: 'swin' })
  await t.throwsAsync(missing.explain(input), { code: 'ERR_LAYER_OUTPUT', message: /permutation has/ })
})

for (const [net, place] of [
  ['one_dimension', [20]],
  ['three_dimensions', [3, 4, 5]],
] as const) {
  test.serial(`${net}: maps of signals and volumes`, async (t) => {
    using model = await load(net)
    using input = toTensor(nets.input(net))
    using cam = new Cam(model, { layers: ['features'], methods: all })
    await cam.forward(input)
    await cam.backward([0, 1])
    using activation = cam.activation('features')
    using gradient = cam.gradient('features')
    using map = cam.get('features', 'gradcam')
    t.deepEqual([...map.shape], [2, 1, ...place])
    const size = place.reduce((product, length) => product * length, 1)
    const [a, g] = [numbers(activation), numbers(gradient)]
    const expected = [0, 1].flatMap((image) =>
      Array.from({ length: size }, (_, at) => {
        let sum = 0
        for (let k = 0; k < 8; k++) {
          const start = (image * 8 + k) * size
          const weight = g.slice(start, start + size).reduce((total, value) => total + value, 0) / size
          sum += weight * a[start + at]!
        }
        return Math.max(sum, 0)
      }),
    )
    t.true(relativeError(numbers(map), expected) < 1e-5)
    using large = new Cam(model, { layers: ['features'], methods: all, compat: 'pytorch-grad-cam' })
    using found = await large.explain(input, { target: [0, 1] })
    for (const method of all) {
      t.deepEqual(found.get(undefined, method).shape.slice(2), input.shape.slice(2))
      const flat = numbers(found.get(undefined, method))
      t.true(Math.min(...flat) >= 0 && Math.max(...flat) <= 1, method)
      // Only means follow the layer, so that internal influence is one value for each image, which may be negative.
      if (method !== 'internal-influence') t.true(Math.max(...flat) > 0.9, method)
    }
  })
}

test.serial('half-precision models have their maps computed in float32', async (t) => {
  using model = await ScriptModule.load(nets.variant('bfloat16'))
  using input = toTensor(nets.input('plain'))
  using half = input.to({ dtype: 'bfloat16' })
  using cam = new Cam(model, { layers: ['features'], methods: all })
  using found = await cam.explain(half, { target: 1 })
  using reference = await load('plain')
  using exact = new Cam(reference, { layers: ['features'], methods: all })
  using requested = await exact.explain(input, { target: 1 })
  for (const method of all) {
    const map = found.get('features', method)
    t.is(map.dtype, 'float32', method)
    // bfloat16 has eight bits; methods that divide by sums that nearly cancel are left out.
    if (['gradcam', 'hirescam', 'layercam', 'eigencam'].includes(method))
      t.true(relativeError(numbers(map), numbers(requested.get('features', method))) < 0.1, method)
  }
})

test.serial('explaining leaves no tensor behind', async (t) => {
  using model = await load('curved')
  using input = toTensor(nets.input('curved'))
  const before = await heldTensors()
  {
    using cam = new Cam(model, { layers: ['features', 'mix'], methods: all, compat: 'pytorch-grad-cam' })
    using _augmented = await cam.explain(input, { augment: true })
    for (const found of await cam.explainTop(input, 2)) found.dispose()
    using _logits = await cam.forward(input)
    await cam.backward({ kind: 'finer' })
    await t.throwsAsync(cam.explain(input, { target: 99, augment: true }), { code: 'ERR_TARGET_OUT_OF_RANGE' })
  }
  const after = await settledLiveTensors(before)
  t.true(after <= before, `${after} after ${before}`)
})
