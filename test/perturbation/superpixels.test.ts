import test from 'ava'
import { felzenszwalb, manualSeed, superpixels, Tensor } from '../../lib/index.js'
import { needing } from '../support/needs.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'

manualSeed(0)

/** Options of Felzenszwalb's segmentation, by scikit-image's names. */
const graphs = [
  { scale: 100, sigma: 0.8, min_size: 20 },
  { scale: 300, sigma: 0, min_size: 1 },
  { scale: 20, sigma: 1.6, min_size: 60 },
]
const models = {
  'clear regions': { seed: 1, size: [96, 128], regions: 12, noise: 0.01, channels: 3, segments: 60, graphs },
  'noisy regions': { seed: 2, size: [90, 70], regions: 10, noise: 0.03, channels: 3, segments: 50, graphs },
  'many regions': { seed: 3, size: [128, 128], regions: 40, noise: 0.02, channels: 3, segments: 150, graphs },
  'one channel': { seed: 4, size: [80, 100], regions: 8, noise: 0.02, channels: 1, segments: 40, graphs },
}
const peer = await peerReference('peer_superpixels.py', { models })
const run = needing('peers', peer)

/** The share of pixels in the region that most of their segment is in: how well segments keep to borders. */
function accuracy(segments: readonly number[], regions: readonly number[]): number {
  const inside = new Map<number, Map<number, number>>()
  for (const [pixel, segment] of segments.entries()) {
    const own = inside.get(segment) ?? new Map<number, number>()
    inside.set(segment, own.set(regions[pixel]!, (own.get(regions[pixel]!) ?? 0) + 1))
  }
  let most = 0
  for (const own of inside.values()) most += Math.max(...own.values())
  return most / segments.length
}

/** How many connected parts there are: as many as segments where each is connected. */
function parts(segments: readonly number[], width: number): number {
  const seen = new Set<number>()
  let found = 0
  for (const start of segments.keys()) {
    if (seen.has(start)) continue
    found++
    const open = [start]
    seen.add(start)
    while (open.length > 0) {
      const pixel = open.pop()!
      for (const other of [pixel - width, pixel + width, ...(pixel % width > 0 ? [pixel - 1] : []), pixel + 1]) {
        if (other === pixel + 1 && other % width === 0) continue
        if (seen.has(other) || segments[other] !== segments[pixel]) continue
        seen.add(other)
        open.push(other)
      }
    }
  }
  return found
}

for (const [name, { segments, size }] of Object.entries(models))
  run(`${name}: superpixels keep to borders as well as scikit-image's`, async (t) => {
    const numbers = (what: string) => Array.from(peer!.tensor(name, 'skimage', what).data as ArrayLike<number>, Number)
    using image = toTensor(peer!.tensor(name, 'skimage', 'image'))
    using found = await superpixels(image, { segments })
    t.deepEqual([...found.shape], [1, 1, ...size])
    t.is(found.dtype, 'int64')
    const own = Array.from(found.toTypedArray() as BigInt64Array, Number)
    const [regions, theirs] = [numbers('regions'), numbers('segments')]
    const [mine, peers] = [accuracy(own, regions), accuracy(theirs, regions)]
    // They begin on grids of other sizes, and give small parts to other neighbours: alike in quality, not pixel by pixel.
    t.true(mine > peers - 0.01, `${mine}, scikit-image ${peers}; ${new Set(own).size}, ${new Set(theirs).size}`)
    t.true(mine > 0.9, `${mine}`)
    const count = new Set(own).size
    t.is(Math.max(...own), count - 1)
    t.true(count > 0.6 * segments && count < 1.5 * segments, `${count} of ${segments}`)
    t.is(parts(own, size[1]!), count)
  })

/** Whether the same pixels are together in both. */
function samePartition(a: readonly number[], b: readonly number[]): boolean {
  const pairs = new Set(a.map((label, pixel) => `${label} ${b[pixel]}`))
  return pairs.size === new Set(a).size && pairs.size === new Set(b).size
}

for (const name of Object.keys(models))
  run(`${name}: Felzenszwalb's segments are scikit-image's where no two differences are equal`, async (t) => {
    const numbers = (what: string) => Array.from(peer!.tensor(name, 'skimage', what).data as ArrayLike<number>, Number)
    const counts: number[] = []
    const regions = numbers('regions')
    for (const [n, { scale, sigma, min_size: minSize }] of graphs.entries()) {
      const segment = async (what: string) => {
        using image = toTensor(peer!.tensor(name, 'skimage', what))
        using found = await felzenszwalb(image, { scale, sigma, minSize })
        t.deepEqual(found.shape, [1, 1, ...image.shape.slice(2)])
        return Array.from(found.toTypedArray() as BigInt64Array, Number)
      }
      const own = await segment('image')
      t.true(samePartition(own, numbers(`graph ${n}`)), `graph ${n}`)
      // Numbered from 0 on, in the order of their first pixels.
      t.deepEqual(
        [...new Set(own)],
        Array.from({ length: new Set(own).size }, (_, i) => i),
      )
      counts.push(new Set(own).size)
      // Equal differences may be taken in any order: alike in quality and number then.
      const [levels, theirs] = [await segment('bytes'), numbers(`bytes graph ${n}`)]
      const [mine, peers] = [accuracy(levels, regions), accuracy(theirs, regions)]
      t.true(Math.abs(mine - peers) < 0.02, `${mine}, scikit-image ${peers}`)
      const ratio = new Set(levels).size / new Set(theirs).size
      t.true(ratio > 0.85 && ratio < 1.18, `${new Set(levels).size}, scikit-image ${new Set(theirs).size}`)
    }
    t.true(Math.min(...counts) > 1 && new Set(counts).size > 1, `${counts}`)
  })

test('each image of a batch has its own superpixels, whatever its scale', async (t) => {
  const pixels = Float32Array.from({ length: 2 * 3 * 24 * 32 }, (_, i) => Math.sin(i / 9) + Math.cos(i / 200))
  using images = Tensor.from(pixels, [2, 3, 24, 32])
  using both = await superpixels(images, { segments: 12 })
  using second = images.narrow(0, 1, 1)
  using scaled = second.mul(3).add(-7)
  using alone = await superpixels(scaled, { segments: 12 })
  using same = both.narrow(0, 1, 1)
  t.deepEqual(alone.tolist(), same.tolist())
  using flat = Tensor.zeros([1, 3, 20, 20])
  using grid = await superpixels(flat, { segments: 16 })
  t.is(new Set(grid.toTypedArray() as BigInt64Array).size, 16)
  using tiny = Tensor.zeros([1, 3, 1, 2])
  using few = await superpixels(tiny)
  t.deepEqual(few.tolist(), [[[[0, 1]]]])
})

test('what cannot be divided is refused, and a signal stops it', async (t) => {
  using integers = Tensor.zeros([1, 3, 8, 8], { dtype: 'int64' })
  await t.throwsAsync(superpixels(integers), { code: 'ERR_DTYPE' })
  using vectors = Tensor.zeros([1, 8])
  await t.throwsAsync(superpixels(vectors), { code: 'ERR_SHAPE' })
  using image = Tensor.rand([1, 3, 64, 64])
  for (const options of [{ segments: 0 }, { compactness: 0 }, { iterations: 1.5 }, { iterations: 1001 }])
    await t.throwsAsync(superpixels(image, options), { code: 'ERR_INVALID_ARGUMENT' })
  for (const options of [{ scale: -1 }, { sigma: 101 }, { minSize: 0 }])
    await t.throwsAsync(felzenszwalb(image, options), { code: 'ERR_INVALID_ARGUMENT' })
  await t.throwsAsync(felzenszwalb(integers), { code: 'ERR_DTYPE' })
  await t.throwsAsync(felzenszwalb(vectors), { code: 'ERR_SHAPE' })
  using unknown = image.mul(NaN)
  using still = await felzenszwalb(unknown)
  t.deepEqual(still.shape, [1, 1, 64, 64])
  const stopped = new Error('stopped')
  await t.throwsAsync(felzenszwalb(image, { signal: AbortSignal.abort(stopped) }), { is: stopped })
  const stop = new AbortController()
  const running = superpixels(image, { iterations: 1000, signal: stop.signal })
  stop.abort(stopped) // after the first iteration
  t.is(await t.throwsAsync(running), stopped)
})
