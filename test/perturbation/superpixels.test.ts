import test from 'ava'
import { superpixels, Tensor } from '../../lib/index.js'
import { needing } from '../support/needs.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'

const models = {
  'clear regions': { seed: 1, size: [96, 128], regions: 12, noise: 0.01, channels: 3, segments: 60 },
  'noisy regions': { seed: 2, size: [90, 70], regions: 10, noise: 0.03, channels: 3, segments: 50 },
  'many regions': { seed: 3, size: [128, 128], regions: 40, noise: 0.02, channels: 3, segments: 150 },
  'one channel': { seed: 4, size: [80, 100], regions: 8, noise: 0.02, channels: 1, segments: 40 },
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
  const stopped = new Error('stopped')
  const stop = new AbortController()
  const running = superpixels(image, { iterations: 1000, signal: stop.signal })
  stop.abort(stopped) // after the first iteration
  t.is(await t.throwsAsync(running), stopped)
})
