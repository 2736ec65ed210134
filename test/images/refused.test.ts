import test, { type ExecutionContext } from 'ava'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { liveTensors, loadImage, type Tensor } from '../../lib/index.js'
import { heldTensors } from '../support/live-tensors.js'
import { imageReference } from '../support/images.js'
import { needing } from '../support/needs.js'

const peer = await imageReference('image-samples', {})
const png = await sharp({ create: { width: 2, height: 2, channels: 3, background: '#123456' } })
  .png()
  .toBuffer()

const withPeer = needing('packages', peer, test.serial)
const folder = mkdtempSync(join(tmpdir(), 'images-refused-'))
test.after.always(() => rmSync(folder, { recursive: true }))
writeFileSync(join(folder, 'a file.png'), png)

const failing: Record<string, { code: string; message: RegExp }> = {
  'truncated.jpg': { code: 'ERR_IMAGE_CORRUPT', message: /truncated\.jpg' is a damaged or incomplete image/ },
  'truncated.png': { code: 'ERR_IMAGE_CORRUPT', message: /truncated\.png' is a damaged or incomplete image/ },
  'empty.png': { code: 'ERR_IMAGE_CORRUPT', message: /empty\.png' is empty\. Copy or download it again/ },
  'text.png': { code: 'ERR_IMAGE_CORRUPT', message: /text\.png' is not an image of a supported format.*convert it/ },
  'truncated.bmp': { code: 'ERR_IMAGE_CORRUPT', message: /truncated\.bmp' is a damaged.*pixels are missing/ },
  'truncated.ppm': { code: 'ERR_IMAGE_CORRUPT', message: /truncated\.ppm' is a damaged.*pixels are missing/ },
  'compressed.bmp': {
    code: 'ERR_IMAGE_CORRUPT',
    message: /BMP with compression 1 and 24 bits a pixel is not supported/,
  },
  'damaged.bmp': { code: 'ERR_IMAGE_CORRUPT', message: /its header is (damaged|cut short)/ },
  'no_size.ppm': { code: 'ERR_IMAGE_CORRUPT', message: /a number is expected in it/ },
  'photo.heic': { code: 'ERR_IMAGE_CORRUPT', message: /photo\.heic' is HEIC, which cannot be read.*convert it/ },
  'photo.jp2': { code: 'ERR_IMAGE_CORRUPT', message: /photo\.jp2' is JPEG 2000, which cannot be read/ },
  'bomb.png': { code: 'ERR_IMAGE_TOO_LARGE', message: /30000 x 30000 = 900000000 pixels.*maxPixels/ },
}

for (const [name, expected] of Object.entries(failing))
  withPeer(`loadImage refuses ${name}`, async (t) => {
    const { path, pixels } = peer!.sample(name)
    t.is(pixels, null)
    await refuses(t, () => loadImage(path), expected)
    await refuses(t, () => loadImage(readFileSync(path)), { ...expected, message: /The image \(\d+ bytes\) / })
  })

test.serial('loadImage refuses an image whose last pixels are missing', async (t) => {
  const noise = Buffer.from(Array.from({ length: 300 * 200 * 3 }, (_, i) => (i * 7919) % 251))
  const image = sharp(noise, { raw: { width: 300, height: 200, channels: 3 } })
  for (const format of ['jpeg', 'png', 'webp', 'tiff', 'gif'] as const) {
    const file = await image.clone().toFormat(format).toBuffer()
    ;(await loadImage(file)).dispose()
    await refuses(t, () => loadImage(file.subarray(0, Math.floor(file.length * 0.95))), {
      code: 'ERR_IMAGE_CORRUPT',
      message: /incomplete|cut short/,
    })
  }
})

test.serial('loadImage says what is wrong with a source, and what to do', async (t) => {
  for (const [source, expected] of [
    [
      join(folder, 'none.png'),
      { code: 'ERR_IMAGE_NOT_FOUND', message: /The image '.*none\.png' does not exist\. Check/ },
    ],
    [join(folder, 'a file.png', 'none.png'), { code: 'ERR_IMAGE_NOT_FOUND', message: /Check the path/ }],
    [folder, { code: 'ERR_IMAGE_UNREADABLE', message: /it is a folder\. Name a file in it/ }],
    ['https://example.org/cat.png', { code: 'ERR_INVALID_ARGUMENT', message: /await fetch/ }],
    ['data:image/png;base64,AAAA', { code: 'ERR_INVALID_ARGUMENT', message: /Pass the bytes/ }],
    [
      'file://elsewhere/cat.png',
      { code: 'ERR_INVALID_ARGUMENT', message: /must be a path or a file: URL, but is file:/ },
    ],
    [7 as never, { code: 'ERR_INVALID_ARGUMENT', message: /but is 7/ }],
    [null as never, { code: 'ERR_INVALID_ARGUMENT', message: /but is null/ }],
    ['with\0zero', { code: 'ERR_IMAGE_UNREADABLE', message: /null bytes/ }],
  ] as const)
    await refuses(t, () => loadImage(source), expected)
})

const asUser = needing('user', process.getuid?.() !== 0, test.serial)
asUser('loadImage tells a file that may not be read', async (t) => {
  const path = join(folder, 'secret.png')
  writeFileSync(path, png, { mode: 0o000 })
  await refuses(t, () => loadImage(path), { code: 'ERR_IMAGE_UNREADABLE', message: /Change its permissions/ })
})

test.serial('loadImage checks its options before it reads', async (t) => {
  const none = join(folder, 'none.png')
  for (const [options, code] of [
    [{ size: [224] as never }, 'ERR_SHAPE'],
    [{ size: [0, 224] }, 'ERR_SHAPE'],
    [{ size: [22.5, 224] }, 'ERR_SHAPE'],
    [{ resample: 'nearest' as never }, 'ERR_INVALID_ARGUMENT'],
    [{ normalize: { mean: [0.5], std: [0.5] } }, 'ERR_SHAPE'],
    [{ normalize: { mean: [0, 0, NaN], std: [1, 1, 1] } }, 'ERR_INVALID_ARGUMENT'],
    [{ maxPixels: 0 }, 'ERR_INVALID_ARGUMENT'],
    [{ maxPixels: NaN }, 'ERR_INVALID_ARGUMENT'],
  ] as const)
    await refuses(t, () => loadImage(none, options), { code })
})

test.serial('maxPixels is the most that is let in', async (t) => {
  using image = await loadImage(png, { maxPixels: 4 })
  t.deepEqual(image.shape, [1, 3, 2, 2])
  await refuses(t, () => loadImage(png, { maxPixels: 3 }), { code: 'ERR_IMAGE_TOO_LARGE', message: /2 x 2 = 4 pixels/ })
  const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="100000" height="100000"/>')
  await refuses(t, () => loadImage(svg, { svg: true }), { code: 'ERR_IMAGE_TOO_LARGE' })
})

test.serial('an image that takes longer to decode than it may is refused, and one that does not is not', async (t) => {
  // Interlaced, so that it has to be decoded as a whole: some seconds.
  const large = await sharp({ create: { width: 12_000, height: 12_000, channels: 3, background: '#123456' } })
    .png({ progressive: true, compressionLevel: 1 })
    .toBuffer()
  await refuses(t, () => loadImage(large, { size: [8, 8], decodeSeconds: 1 }), {
    code: 'ERR_IMAGE_TIMEOUT',
    message: /took longer than 1 s to decode\. Raise decodeSeconds/,
  })
  using image = await loadImage(large, { size: [8, 8] })
  t.deepEqual(image.shape, [1, 3, 8, 8])
  for (const decodeSeconds of [0, -1, NaN, Infinity, '1' as never])
    await refuses(t, () => loadImage(png, { decodeSeconds }), { code: 'ERR_INVALID_ARGUMENT' })
})

async function refuses(
  t: ExecutionContext,
  load: () => Promise<Tensor>,
  expected: { code: string; message?: RegExp },
): Promise<void> {
  const before = await heldTensors()
  await t.throwsAsync(load, { name: 'GradCamError', ...expected })
  t.is(liveTensors(), before)
}
