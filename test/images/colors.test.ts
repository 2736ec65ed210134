import test from 'ava'
import {
  colorize,
  denormalize,
  interpolate,
  imagenet,
  liveTensors,
  manualSeed,
  normalize,
  overlay,
  standardize,
  Tensor,
  tidy,
} from '../../lib/index.js'
import { heldTensors } from '../support/live-tensors.js'
import { imageReference } from '../support/images.js'
import { needing } from '../support/needs.js'

manualSeed(0)

const tricky = [
  ...Array.from({ length: 2001 }, (_, i) => (i - 200) / 1600),
  ...Array.from({ length: 257 }, (_, i) => i / 256),
  0,
  -0,
  1,
  1 - 2 ** -24,
  1 + 2 ** -23,
  1 / 256 - 2 ** -33,
  1e-30,
  -1e-30,
  1e30,
  -1e30,
  null,
]
const peer = await imageReference('image-colors', { jet: tricky })
const withPeer = needing('packages', peer)

withPeer("jet's table is matplotlib's, number for number", (t) => {
  const { table } = peer!.jet
  t.deepEqual(table.shape, [256, 3])
  // The middle of each of the 256 steps, so that every colour is asked for once.
  using steps = Tensor.from(
    Float32Array.from({ length: 256 }, (_, i) => (i + 0.5) / 256),
    [1, 1, 16, 16],
  )
  using colors = colorize(steps)
  t.deepEqual(rows(colors), Float32Array.from(table.data as Float64Array))
})

withPeer('colorize picks the colours that matplotlib picks: at the edges, outside of [0, 1] and for NaN', (t) => {
  const { values, colors } = peer!.jet
  using map = Tensor.from(values.data, [1, 1, 1, tricky.length])
  using painted = colorize(map)
  t.deepEqual(painted.shape, [1, 3, 1, tricky.length])
  t.is(painted.dtype, 'float32')
  t.deepEqual(rows(painted), Float32Array.from(colors.data as Float64Array))
})

test('colorize gives each map of a batch its own colours, infinities the ends and NaN black', (t) => {
  using maps = Tensor.from([0, 1, Infinity, -Infinity, NaN, 0.5], [3, 1, 1, 2])
  using painted = colorize(maps)
  t.deepEqual(painted.shape, [3, 3, 1, 2])
  const [blue, red] = [
    [0, 0, 0.5],
    [0.5, 0, 0],
  ]
  const pixels = Array.from({ length: 6 }, (_, i) => Array.from(rows(painted).subarray(i * 3, i * 3 + 3)))
  t.deepEqual(pixels.slice(0, 5), [blue, red, red, blue, [0, 0, 0]])
  t.true((pixels[5] as number[])[1]! > 0.9, 'the middle of jet is green')
})

test('colorize takes every floating dtype, and refuses what is not a map', (t) => {
  for (const dtype of ['float64', 'float16', 'bfloat16'] as const) {
    using map = Tensor.from([0, 0.25, 0.75, 1], [1, 1, 2, 2], { dtype })
    using wide = map.to({ dtype: 'float32' })
    using painted = colorize(map)
    using expected = colorize(wide)
    t.deepEqual(painted.toTypedArray(), expected.toTypedArray(), dtype)
  }
  using colored = Tensor.zeros([1, 3, 2, 2])
  t.throws(() => colorize(colored), { code: 'ERR_SHAPE', message: /\[N, 1, H, W\].*\[1, 3, 2, 2\]/ })
})

test('normalize stretches each image by itself, over all of its channels', (t) => {
  using batch = Tensor.from([2, 4, 6, 10, -1, -1, 0, 1], [2, 2, 1, 2])
  using stretched = normalize(batch)
  t.deepEqual(stretched.toTypedArray(), new Float32Array([0, 0.25, 0.5, 1, 0, 0, 0.5, 1]))
})

test('normalize adds eps to the largest of the shifted elements, so a constant map is 0', (t) => {
  using constant = Tensor.full([1, 1, 2, 2], 7)
  using zero = normalize(constant)
  t.deepEqual(zero.toTypedArray(), new Float32Array(4))

  using tiny = Tensor.from(new Float32Array([5e-8, 1e-8]), [1, 1, 1, 2])
  using stretched = normalize(tiny)
  // In float32: the shifted maximum, then eps, then the quotient.
  const shifted = Math.fround(Math.fround(5e-8) - Math.fround(1e-8))
  t.deepEqual(stretched.toTypedArray(), new Float32Array([shifted / Math.fround(shifted + 1e-8), 0]))

  using rising = Tensor.from([0, 7, 14, 21], [1, 1, 2, 2])
  using with7 = normalize(rising, 7)
  t.deepEqual(with7.toTypedArray(), new Float32Array([0, 0.25, 0.5, 0.75]))
})

test('normalize makes 0 of a constant map that upsampling rounded, and stretches what varies by more', (t) => {
  let rounded = 0
  for (const value of [0.0173, 0.0865, 0.1, 0.3, 7, -0.3]) {
    using map = Tensor.full([1, 1, 4, 5], value)
    using large = interpolate(map, [16, 20])
    rounded += new Set(Array.from(large.toTypedArray(), Number)).size - 1
    using stretched = normalize(large)
    t.true(
      stretched.toTypedArray().every((each) => Math.abs(Number(each)) === 0),
      `${value}`,
    )
  }
  t.true(rounded > 0, 'upsampling rounded none of these')

  for (const dtype of ['float32', 'float64'] as const) {
    using near = Tensor.from([1, 1 + (dtype === 'float32' ? 2 ** -16 : 2 ** -40)], [1, 1, 1, 2], { dtype })
    using stretched = normalize(near, 0)
    t.deepEqual(Array.from(stretched.toTypedArray(), Number), [0, 1], dtype)
  }
  using open = Tensor.from([1, Infinity, 2, NaN], [2, 1, 1, 2])
  using unbounded = normalize(open)
  t.deepEqual(Array.from(unbounded.toTypedArray(), Number), [0, NaN, NaN, NaN])
})

test('normalize widens narrow dtypes, in which eps would vanish, and keeps float64', (t) => {
  for (const [dtype, expected] of [
    ['float16', 'float32'],
    ['bfloat16', 'float32'],
    ['uint8', 'float32'],
    ['float32', 'float32'],
    ['float64', 'float64'],
  ] as const) {
    using map = Tensor.from([3, 3, 3, 3], [1, 1, 2, 2], { dtype })
    using stretched = normalize(map)
    t.is(stretched.dtype, expected)
    t.deepEqual(Array.from(stretched.toTypedArray(), Number), [0, 0, 0, 0], dtype)
  }
})

test('normalize works on views and refuses what has no images or no pixels', (t) => {
  using stretched = tidy(() =>
    normalize(Tensor.arange(0, 8, 1, { dtype: 'float32' }).reshape([1, 2, 2, 2]).permute([0, 1, 3, 2])),
  )
  t.deepEqual(stretched.toTypedArray(), new Float32Array([0, 2, 1, 3, 4, 6, 5, 7].map((x) => x / 7)))
  using flat = Tensor.zeros([3, 4])
  t.throws(() => normalize(flat), { code: 'ERR_SHAPE' })
  using empty = Tensor.zeros([1, 1, 0, 4])
  t.throws(() => normalize(empty), { code: 'ERR_SHAPE' })
})

test('overlay blends the painted, stretched, enlarged map over the image', (t) => {
  using image = Tensor.rand([2, 3, 6, 8])
  // No pixel's value lies within rounding of an edge between two colours.
  using map = Tensor.from([0, 5.3, 4.1, 10.7, 1, 1.2, 2.3, 3.1], [2, 1, 2, 2])
  using painted = tidy(() => colorize(normalize(map.interpolate([6, 8]))))
  for (const [alpha, options] of [
    [0.5, undefined],
    [0, { alpha: 0 }],
    [1, { alpha: 1 }],
    [0.3, { alpha: 0.3 }],
  ] as const) {
    using blended = overlay(image, map, options)
    t.deepEqual(blended.shape, [2, 3, 6, 8])
    const [got, pixels, color] = [blended, image, painted].map((tensor) => tensor.toTypedArray())
    for (let i = 0; i < 288; i++) {
      const expected = (1 - alpha) * Number(pixels![i]) + alpha * Number(color![i])
      t.true(Math.abs(Number(got![i]) - expected) < 1e-6, `alpha ${alpha}, element ${i}`)
    }
  }
})

test('overlay keeps the dtype of the image, takes maps of any, and gives what it gives for one image', (t) => {
  for (const dtype of ['float32', 'float64'] as const) {
    using image = tidy(() => Tensor.rand([3, 3, 9, 7]).to({ dtype }).permute([0, 1, 3, 2]))
    using map = Tensor.rand([3, 1, 4, 3])
    using half = map.to({ dtype: 'float16' })
    using wide = half.to({ dtype: 'float64' })
    using whole = overlay(image, half)
    using same = overlay(image, wide)
    t.is(whole.dtype, dtype)
    t.deepEqual(whole.toTypedArray(), same.toTypedArray())
    for (let i = 0; i < 3; i++) {
      using single = tidy(() => overlay(image.slice(0, i, i + 1), half.slice(0, i, i + 1)))
      using part = whole.slice(0, i, i + 1)
      t.deepEqual(single.toTypedArray(), part.toTypedArray())
    }
  }
})

test('a NaN in a map is black in an overlay, and the rest of the map is normalised without it', (t) => {
  using image = Tensor.ones([1, 3, 1, 4])
  using map = Tensor.from([NaN, 2, 4, 6], [1, 1, 1, 4])
  using painted = overlay(image, map, { alpha: 1 })
  using expected = tidy(() => colorize(Tensor.from([NaN, 0, 0.5, 1], [1, 1, 1, 4])))
  t.deepEqual(painted.toTypedArray(), expected.toTypedArray())
})

test('overlay refuses shapes that do not fit, and an image that is scaled for a model', (t) => {
  using image = Tensor.rand([2, 3, 6, 8])
  using map = Tensor.rand([2, 1, 2, 2])
  using single = Tensor.rand([1, 1, 2, 2])
  using grey = Tensor.rand([2, 1, 6, 8])
  using scaled = standardize(image, imagenet)
  t.throws(() => overlay(grey, map), { code: 'ERR_SHAPE', message: /\[N, 3, H, W\]/ })
  t.throws(() => overlay(image, single), { code: 'ERR_SHAPE', message: /\[2, 1, h, w\]/ })
  t.throws(() => overlay(image, image), { code: 'ERR_SHAPE' })
  t.throws(() => overlay(image, map, { alpha: 1.5 }), { code: 'ERR_INVALID_ARGUMENT' })
  t.throws(() => overlay(image, map, { alpha: NaN }), { code: 'ERR_INVALID_ARGUMENT' })
  t.throws(() => overlay(scaled, map), { code: 'ERR_INVALID_ARGUMENT', message: /denormalize/ })
  using back = denormalize(scaled, imagenet)
  t.notThrows(() => overlay(back, map).dispose())
})

test('denormalize undoes standardize', (t) => {
  using image = Tensor.rand([2, 3, 4, 5])
  using scaled = standardize(image, imagenet)
  const pixel = (tensor: Tensor, channel: number) => Number(tensor.toTypedArray()[channel * 20])
  for (const [channel, mean] of imagenet.mean.entries()) {
    const expected = (pixel(image, channel) - mean) / imagenet.std[channel]!
    t.true(Math.abs(pixel(scaled, channel) - expected) < 1e-6)
  }
  using back = denormalize(scaled, imagenet)
  t.true(tidy(() => back.sub(image).abs().max().item()) < 1e-6)
  t.throws(() => denormalize(scaled, { mean: [0.5], std: [0.5] }), { code: 'ERR_SHAPE' })
  t.throws(() => standardize(image, { mean: [0, 0, 0], std: [1, 1, 0] }), { code: 'ERR_INVALID_ARGUMENT' })
})

test('none of them leaves a tensor behind, whether it works or throws', async (t) => {
  using image = Tensor.rand([1, 3, 6, 8])
  using map = Tensor.rand([1, 1, 2, 2])
  const before = await heldTensors()
  for (const work of [normalize, colorize, (m: Tensor) => overlay(image, m), () => standardize(image, imagenet)]) {
    const result = work(map)
    t.is(liveTensors(), before + 1)
    result.dispose()
  }
  t.throws(() => overlay(map, map))
  using scaled = standardize(image, imagenet)
  t.throws(() => overlay(scaled, map))
  t.is(liveTensors(), before + 1)
})

/** The pixels of [N, 3, H, W], one after another. */
function rows(colors: Tensor): Float32Array {
  using last = colors.permute([0, 2, 3, 1])
  return last.toTypedArray() as Float32Array
}
