// Images of one and of many channels, and arrays, against Pillow and NumPy.
import test from 'ava'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadImage, loadNpy, readPreprocess } from '../../lib/index.js'
import { cachedFolder } from '../support/cached-folder.js'
import { needing, orMissing } from '../support/needs.js'
import { programsHash, runPython } from '../support/python.js'
import { pythonPackages } from '../support/python-packages.js'

interface Index {
  readonly grey: Readonly<Record<string, string>>
  readonly pages: string
  readonly arrays: Readonly<Record<string, { readonly shape: number[]; readonly values: string }>>
}

const folder = await orMissing('packages', async () => {
  const python = await pythonPackages()
  return await cachedFolder('channel-images', [programsHash('channel_images.py')], async (partial) => {
    await runPython(python, 'channel_images.py', [partial])
  })
})
const index = folder === null ? null : (JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Index)
const withPeer = needing('packages', index)
const at = (name: string): string => join(folder ?? '', name)
const size = [24, 32] as const

withPeer('one channel is the grey of Pillow, byte for byte', async (t) => {
  for (const [name, values] of Object.entries(index!.grey)) {
    using image = await loadImage(at(name), { size, channels: 1 })
    t.deepEqual(image.shape, [1, 1, 24, 32], name)
    const bytes = Uint8Array.from(image.toTypedArray() as Float32Array, (value) => Math.round(value * 255))
    t.deepEqual(Buffer.from(bytes), readFileSync(at(values)), name)
    using half = await loadImage(at(name), {
      size,
      channels: 1,
      dtype: 'float16',
      normalize: { mean: [0.5], std: [0.25] },
    })
    t.is(half.dtype, 'float16')
    using wide = half.to({ dtype: 'float32' })
    const scaled = wide.toTypedArray() as Float32Array
    // float16 has 11 significant bits, and values here are at most 2 in size.
    t.true(bytes.every((byte, i) => Math.abs((byte / 255 - 0.5) / 0.25 - (scaled[i] as number)) <= 2 ** -10))
  }
})

withPeer('n channels are the pages of a TIFF', async (t) => {
  using image = await loadImage(at('pages.tif'), { size, channels: 4 })
  t.deepEqual(image.shape, [1, 4, 24, 32])
  const bytes = Uint8Array.from(image.toTypedArray() as Float32Array, (value) => Math.round(value * 255))
  t.deepEqual(Buffer.from(bytes), readFileSync(at(index!.pages)))
  using first = await loadImage(at('pages.tif'), { size, channels: 1 })
  t.deepEqual((first.toTypedArray() as Float32Array).length, 24 * 32)
  for (const [file, channels, message] of [
    ['pages.tif', 5, /takes 5 channels.*in 4 pages.*TIFF of 5 pages/],
    ['rgb.png', 4, /takes 4 channels.*red, green and blue/],
  ] as const)
    await t.throwsAsync(loadImage(at(file), { size, channels }), { code: 'ERR_CHANNELS', message })
  await t.throwsAsync(loadImage(at('uneven.tif'), { channels: 2 }), { code: 'ERR_IMAGE_CORRUPT', message: /one size/ })
})

withPeer('arrays are what numpy.save wrote', async (t) => {
  for (const [name, { shape, values }] of Object.entries(index!.arrays)) {
    using array = await loadNpy(at(name), { dtype: 'float32' })
    t.deepEqual(array.shape, shape, name)
    const expected = new Float32Array(new Uint8Array(readFileSync(at(values))).buffer)
    t.deepEqual(array.toTypedArray(), expected, name)
  }
  using own = await loadNpy(at('f8.npy'))
  t.is(own.dtype, 'float64')
  for (const [name, code, message] of [
    ['columns.npy', 'ERR_IMAGE_CORRUPT', /order of columns.*ascontiguousarray/],
    ['complex.npy', 'ERR_DTYPE', /'<c8'/],
    ['big.npy', 'ERR_DTYPE', /'>f4'.*astype/],
    ['short.npy', 'ERR_IMAGE_CORRUPT', /92 bytes of elements where its shape takes 96/],
    ['rgb.png', 'ERR_IMAGE_CORRUPT', /does not begin/],
    ['none.npy', 'ERR_IMAGE_NOT_FOUND', /none\.npy/],
  ] as const)
    await t.throwsAsync(loadNpy(at(name)), { code, message }, name)
})

test('a preprocessing has as many means as the model has channels', (t) => {
  const grey = { input_size: [1, 24, 24], mean: [0.5], std: [0.5] }
  t.like(readPreprocess(grey), { crop: [24, 24], mean: [0.5], std: [0.5] })
  t.like(readPreprocess({ input_size: [4, 24, 24] }), { mean: [0, 0, 0, 0], std: [1, 1, 1, 1] })
  t.like(readPreprocess({ resize: 8, mean: [1, 2], std: [3, 4] }), { mean: [1, 2], std: [3, 4] })
  t.throws(() => readPreprocess({ resize: 8, mean: [1, 2], std: [3] }), { code: 'ERR_INVALID_ARGUMENT' })
})
