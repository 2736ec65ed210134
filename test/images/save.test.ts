import test from 'ava'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import sharp from 'sharp'
import {
  encodeImage,
  liveTensors,
  loadImage,
  manualSeed,
  saveImage,
  Tensor,
  type ImageFormat,
} from '../../lib/index.js'
import { heldTensors } from '../support/live-tensors.js'

manualSeed(0)

const folder = mkdtempSync(join(tmpdir(), 'images-save-'))
test.after.always(() => rmSync(folder, { recursive: true }))
const file = (name: string): string => join(folder, name)

/** Every byte, between the bytes, beyond both ends, and no number. */
const values = [
  ...Array.from({ length: 256 }, (_, i) => i / 255),
  ...Array.from({ length: 256 }, (_, i) => (i + 0.49) / 255),
  -0.1,
  -1e30,
  -Infinity,
  1.001,
  2,
  1e30,
  Infinity,
  NaN,
]

test.serial('saveImage rounds and clamps as torchvision does, and NaN is black', async (t) => {
  using image = Tensor.from(values, [1, 1, 1, values.length])
  await saveImage(image, file('values.png'))
  const written = await pixels('values.png')
  const expected = values.map((value) => {
    const shifted = Math.fround(Math.fround(Math.fround(value) * 255) + 0.5)
    return Number.isNaN(value) ? 0 : Math.trunc(Math.min(255, Math.max(0, shifted)))
  })
  t.deepEqual(
    [...written.data],
    expected.flatMap((value) => [value, value, value]),
  )
  t.deepEqual(written.data.subarray(0, 768), Buffer.from(Array.from({ length: 768 }, (_, i) => Math.floor(i / 3))))
})

test.serial('saveImage takes [1, C, H, W], [C, H, W] and [H, W], views, and every floating dtype', async (t) => {
  const colors = Array.from({ length: 24 }, (_, i) => i / 23)
  using image = Tensor.from(colors, [1, 3, 2, 4])
  await saveImage(image, file('full.png'))
  const full = await pixels('full.png')
  t.deepEqual([full.info.width, full.info.height], [4, 2])
  // The second pixel of the first row: element 1 of each channel.
  t.deepEqual(
    [...full.data.subarray(3, 6)],
    [1, 9, 17].map((i) => Math.floor((i / 23) * 255 + 0.5)),
  )

  using first = image.select(0, 0)
  using turned = Tensor.from(colors, [2, 4, 3])
  using view = turned.permute([2, 0, 1])
  await saveImage(first, file('first.png'))
  t.deepEqual((await pixels('first.png')).data, full.data)
  await saveImage(view, file('view.png'))
  t.deepEqual(
    [...(await pixels('view.png')).data],
    colors.map((value) => Math.floor(value * 255 + 0.5)),
  )

  using grey = Tensor.from([0, 0.25, 0.5, 1], [2, 2])
  await saveImage(grey, file('grey.png'))
  const bytes = [0, 64, 128, 255].flatMap((value) => [value, value, value])
  t.deepEqual([...(await pixels('grey.png')).data], bytes)
  for (const dtype of ['float64', 'float16', 'bfloat16'] as const) {
    using narrow = grey.to({ dtype })
    await saveImage(narrow, file('grey.png'))
    t.deepEqual([...(await pixels('grey.png')).data], bytes, dtype)
  }
})

test.serial('saveImage writes what a graph of gradients hangs on', async (t) => {
  using image = Tensor.from([0, 1], [1, 2])
  image.requiresGrad = true
  await saveImage(image, file('graph.png'))
  t.deepEqual([...(await pixels('graph.png')).data], [0, 0, 0, 255, 255, 255])
})

const written: Record<string, { format: 'png' | 'jpeg' | 'webp' | 'tiff' | 'gif' | 'heif'; worst: number }> = {
  'a.png': { format: 'png', worst: 0 },
  'a.PNG': { format: 'png', worst: 0 },
  'a.tiff': { format: 'tiff', worst: 0 },
  'a.tif': { format: 'tiff', worst: 0 },
  'a.jpg': { format: 'jpeg', worst: 12 },
  'a.JPEG': { format: 'jpeg', worst: 12 },
  'a.webp': { format: 'webp', worst: 20 },
  'a.avif': { format: 'heif', worst: 20 },
  'a.gif': { format: 'gif', worst: 20 },
  'no extension': { format: 'png', worst: 0 },
}

for (const [name, { format, worst }] of Object.entries(written))
  test.serial(`saveImage writes ${name} as ${format}`, async (t) => {
    using image = Tensor.from(slopes(32, 48), [1, 3, 32, 48])
    await saveImage(image, file(name))
    t.is((await sharp(file(name)).metadata()).format, format)
    using back = await loadImage(file(name))
    t.deepEqual(back.shape, [1, 3, 32, 48])
    const [a, b] = [image, back].map((tensor) => tensor.toTypedArray() as Float32Array) as [Float32Array, Float32Array]
    const distance = a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0)
    t.true(distance * 255 <= worst + 0.5001, `${distance * 255} of 255 away`)
  })

test.serial('the option format comes before the extension, and quality counts', async (t) => {
  using image = Tensor.rand([3, 64, 64])
  await saveImage(image, pathToFileURL(file('url.png')), { format: 'webp' })
  t.is((await sharp(file('url.png')).metadata()).format, 'webp')
  const [low, high] = [await encodeImage(image, 'jpeg', { quality: 30 }), await encodeImage(image, 'jpeg')]
  t.true(low.length < high.length)
})

test.serial('saveImage says what cannot be written, and what to do', async (t) => {
  using image = Tensor.rand([1, 3, 4, 4])
  using batch = Tensor.rand([2, 3, 4, 4])
  using two = Tensor.rand([1, 2, 4, 4])
  using line = Tensor.rand([4])
  using none = Tensor.rand([3, 0, 4])
  using bytes = Tensor.zeros([3, 4, 4], { dtype: 'uint8' })
  writeFileSync(file('plain'), 'a file')
  mkdirSync(file('folder'))
  for (const [tensor, path, code, message] of [
    [batch, 'b.png', 'ERR_SHAPE', /a batch of 2.*batch\.select\(0, i\)/],
    [two, 'b.png', 'ERR_SHAPE', /C = 1 or 3, but is \[1, 2, 4, 4\]/],
    [line, 'b.png', 'ERR_SHAPE', /\[4\]/],
    [none, 'b.png', 'ERR_SHAPE', /\[3, 0, 4\]/],
    [bytes, 'b.png', 'ERR_DTYPE', /uint8.*div\(255\)/],
    [image, 'b.bmp', 'ERR_IMAGE_WRITE', /ends in \.bmp.*Use \.png, \.jpeg/],
    [image, join('missing', 'b.png'), 'ERR_IMAGE_WRITE', /folder does not exist\. Make the folder/],
    [image, join('plain', 'b.png'), 'ERR_IMAGE_WRITE', /is a file, not a folder/],
    [image, 'folder', 'ERR_IMAGE_WRITE', /it is a folder/],
  ] as const) {
    const before = await heldTensors()
    await t.throwsAsync(saveImage(tensor, file(path)), { name: 'GradCamError', code, message }, path)
    t.is(liveTensors(), before)
  }
  await t.throwsAsync(encodeImage(image, 'bmp' as ImageFormat), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /`format` must be 'png', 'jpeg', .*, but is 'bmp'/,
  })
  for (const quality of [0, 101, 1.5, NaN])
    await t.throwsAsync(encodeImage(image, 'jpeg', { quality }), { code: 'ERR_INVALID_ARGUMENT' })
  t.deepEqual(leftovers(), [])
})

test.serial('an image that cannot be written leaves the old file as it was', async (t) => {
  // WebP holds at most 16383 pixels along a side.
  using long = Tensor.zeros([1, 20_000])
  writeFileSync(file('old.webp'), 'the old one')
  await t.throwsAsync(saveImage(long, file('old.webp')), {
    code: 'ERR_IMAGE_WRITE',
    message: /20000 x 1.*webp.*Try png/,
  })
  t.is(readFileSync(file('old.webp'), 'utf8'), 'the old one')
  t.deepEqual(leftovers(), [])
})

test.serial('a file is replaced in one step, keeping its mode, and a link stays a link', async (t) => {
  using image = Tensor.rand([3, 300, 300])
  writeFileSync(file('real.png'), await encodeImage(image), { mode: 0o600 })
  symlinkSync('real.png', file('link.png'))
  let saving = true
  const saves = (async () => {
    for (let i = 0; i < 20; i++) await saveImage(image, file('link.png'))
    saving = false
  })()
  let reads = 0
  while (saving) {
    const content = readFileSync(file('real.png'))
    t.is(content.subarray(-8, -4).toString('latin1'), 'IEND', 'half a file was seen')
    reads++
    await new Promise((resolve) => setImmediate(resolve))
  }
  await saves
  t.true(reads > 20)
  t.true(lstatSync(file('link.png')).isSymbolicLink())
  t.is(statSync(file('real.png')).mode & 0o777, 0o600)
  t.deepEqual(leftovers(), [])
})

if (process.platform !== 'win32')
  test.serial('a device is written to, not replaced', async (t) => {
    using image = Tensor.rand([3, 4, 4])
    await saveImage(image, '/dev/null')
    t.true(lstatSync('/dev/null').isCharacterDevice())
  })

test.serial(
  'the tensor may be disposed as soon as saveImage has returned its promise, and nothing is left',
  async (t) => {
    const before = await heldTensors()
    const image = Tensor.ones([1, 1, 2, 2])
    const saving = saveImage(image, file('early.png'))
    image.dispose()
    await saving
    t.is(liveTensors(), before)
    t.deepEqual([...(await pixels('early.png')).data], Array<number>(12).fill(255))
  },
)

function pixels(name: string) {
  return sharp(file(name)).toColourspace('srgb').raw().toBuffer({ resolveWithObject: true })
}

/** Names that a save left beside its result. */
function leftovers(): string[] {
  return readdirSync(folder).filter((name) => name.includes('.partial'))
}

/** [3, height, width] of slow slopes, which every format keeps well. */
function slopes(height: number, width: number): number[] {
  const at = (x: number, y: number, channel: number) =>
    [x / (width - 1), y / (height - 1), (x + y) / (width + height - 2)][channel] as number
  return Array.from({ length: 3 * height * width }, (_, i) =>
    at(i % width, Math.floor(i / width) % height, Math.floor(i / (width * height))),
  )
}
