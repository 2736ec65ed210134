import test from 'ava'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import sharp from 'sharp'
import { imagenet, liveTensors, loadImage, standardize, type Tensor } from '../../lib/index.js'
import { heldTensors } from '../support/live-tensors.js'
import { imageReference } from '../support/images.js'
import { needing } from '../support/needs.js'

const peer = await imageReference('image-samples', {})
/** 2 by 2: red, green, blue, white. */
const corners = Buffer.from([255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255])
const png = await sharp(corners, { raw: { width: 2, height: 2, channels: 3 } })
  .png()
  .toBuffer()

const withPeer = needing('packages', peer, test.serial)
const folder = mkdtempSync(join(tmpdir(), 'images-load-'))
test.after.always(() => rmSync(folder, { recursive: true }))

/**
 * What each decoder may differ by, of 255: the rounding of JPEG and AVIF differs by 1. AVIF with a quarter of the colours is brought to
 * full size otherwise, which shows at edges between strong colours, and is held to less than AVIF itself loses of the sample, 3.
 */
const tolerance = (name: string): number => (name === 'quarter.avif' ? 80 : /\.(jpg|avif)$/.test(name) ? 1 : 0)
const meanTolerance = (name: string): number => (name === 'quarter.avif' ? 2 : 1)

const accepted = peer ? peer.sampleNames().filter((name) => peer.sample(name).pixels !== null) : []

withPeer('the samples are there', (t) => {
  t.true(accepted.length >= 20)
})

for (const name of accepted)
  withPeer(`loadImage sees in ${name} what Pillow sees`, async (t) => {
    const { path, pixels } = peer!.sample(name)
    using image = await loadImage(path)
    t.is(image.dtype, 'float32')
    t.is(image.device, 'cpu')
    t.deepEqual(image.shape, [1, 3, ...pixels!.shape.slice(0, 2)])
    const got = bytesOf(image)
    const expected = pixels!.data as Uint8Array
    const worst = got.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0)
    t.true(worst <= tolerance(name), `${worst} of 255 away`)
    const mean = got.reduce((sum, value, i) => sum + Math.abs(value - expected[i]!), 0) / got.length
    t.true(mean <= meanTolerance(name), `${mean} of 255 away in the mean`)
  })

test.serial('loadImage takes no colour profile to make RGB of CMYK', async (t) => {
  const create = { width: 4, height: 4, channels: 3, background: '#c02040' } as const
  const file = await sharp({ create })
    .toColourspace('cmyk')
    .withIccProfile('cmyk')
    .tiff({ compression: 'none' })
    .toBuffer()
  const { space, hasProfile } = await sharp(file).metadata()
  t.deepEqual([space, hasProfile], ['cmyk', true])
  const inks = await sharp(file).pipelineColourspace('cmyk').toColourspace('cmyk').raw().toBuffer()
  const [cyan = 0, magenta = 0, yellow = 0, black = 0] = inks
  using image = await loadImage(file)
  // Light that passes black, less the share that each ink takes of it.
  const expected = [cyan, magenta, yellow].map((ink) => ((255 - black) * (255 - ink)) / 255)
  t.true(expected.every((value, i) => Math.abs(value - bytesOf(image)[i]!) <= 1))
})

test.serial('loadImage leaves the pixels of an image with a colour profile as they are stored', async (t) => {
  const red = sharp({ create: { width: 4, height: 4, channels: 3, background: '#ff0000' } })
  const file = await red.png().withIccProfile('p3').toBuffer()
  t.true((await sharp(file).metadata()).hasProfile)
  using image = await loadImage(file)
  // sRGB's red in the coordinates of Display P3.
  const pixel = Array.from(bytesOf(image).subarray(0, 3))
  t.true(
    [234, 51, 35].every((value, i) => Math.abs(value - pixel[i]!) <= 1),
    pixel.join(' '),
  )
})

test.serial('loadImage drops transparency, or lays the image on a background', async (t) => {
  const half = Buffer.from([200, 100, 50, 128, 10, 20, 30, 0])
  const raw = { width: 2, height: 1, channels: 4 } as const
  const file = await sharp(half, { raw }).png().toBuffer()
  const on = async (background?: number) => {
    using image = await loadImage(file, background === undefined ? {} : { background })
    return [...bytesOf(image)]
  }
  t.deepEqual(await on(), [200, 100, 50, 10, 20, 30])
  const white = await on(1)
  t.deepEqual(white.slice(3), [255, 255, 255])
  for (const [i, value] of [200, 100, 50].entries()) {
    t.true(Math.abs(white[i]! - ((value * 128) / 255 + 127)) <= 1, white.join(' '))
  }
  t.deepEqual((await on(0)).slice(3), [0, 0, 0])
  await t.throwsAsync(on(2), { code: 'ERR_INVALID_ARGUMENT' })
})

test.serial('loadImage takes a path, a file: URL, bytes and a window on bytes', async (t) => {
  const path = join(folder, 'with space é#.png')
  writeFileSync(path, png)
  const padded = new Uint8Array(png.length + 7)
  padded.set(png, 3)
  const window = padded.subarray(3, 3 + png.length)
  for (const source of [path, pathToFileURL(path), pathToFileURL(path).href, png, window]) {
    using image = await loadImage(source)
    t.deepEqual(bytesOf(image), Uint8Array.from(corners))
  }
})

test.serial('bytes may be changed or transferred as soon as loadImage has returned its promise', async (t) => {
  const own = new Uint8Array(png)
  const loading = loadImage(own)
  own.fill(0)
  structuredClone(own, { transfer: [own.buffer] })
  using image = await loading
  t.deepEqual(bytesOf(image), Uint8Array.from(corners))
})

test.serial('loadImage scales for a model as torchvision does', async (t) => {
  using plain = await loadImage(png)
  using scaled = await loadImage(png, { normalize: imagenet })
  using expected = standardize(plain, imagenet)
  t.deepEqual(scaled.toTypedArray(), expected.toTypedArray())
  using unscaled = await loadImage(png, { normalize: false })
  t.deepEqual(unscaled.toTypedArray(), plain.toTypedArray())
})

test.serial('loadImage leaves nothing behind but its result', async (t) => {
  const before = await heldTensors()
  for (const resample of ['bilinear', 'bicubic'] as const) {
    const image = await loadImage(png, { size: [5, 7], resample, normalize: imagenet })
    t.is(liveTensors(), before + 1)
    t.deepEqual(image.shape, [1, 3, 5, 7])
    image.dispose()
    await t.throwsAsync(loadImage(png, { size: [5, 7], resample, normalize: imagenet, device: 'cuda:99' }))
    t.is(liveTensors(), before)
  }
})

test.serial('loadImage can be aborted before and while it works, with the reason given', async (t) => {
  const large = await sharp({ create: { width: 3000, height: 2000, channels: 3, background: '#123456' } })
    .png()
    .toBuffer()
  const path = join(folder, 'large.png')
  writeFileSync(path, large)
  const before = await heldTensors()
  const reason = new Error('changed my mind')
  for (const source of [large, path])
    await t.throwsAsync(loadImage(source, { signal: AbortSignal.abort(reason) }), { is: reason })

  using whole = await loadImage(large, { size: [100, 100], resample: 'bicubic' })
  let aborted = 0
  for (const delay of [0, 5, 20, 40, 80, 160, 320]) {
    const stop = new AbortController()
    setTimeout(() => stop.abort(reason), delay)
    const loading = loadImage(path, { size: [100, 100], resample: 'bicubic', signal: stop.signal })
    try {
      using image = await loading
      t.deepEqual(image.shape, whole.shape)
    } catch (error) {
      t.is(error, reason)
      aborted++
    }
  }
  t.true(aborted > 0)
  // What was under way comes to its end before this, since calls are served in order.
  ;(await loadImage(png)).dispose()
  t.is(liveTensors(), before + 1)
})

// Time on the clock says nothing on a busy machine; Linux counts the time that a thread was really running.
const onLinux = needing('linux', process.platform === 'linux', test.serial)
onLinux('loading a large image leaves the JavaScript thread free', async (t) => {
  const large = await sharp({ create: { width: 4000, height: 3000, channels: 3, background: '#123456' } })
    .jpeg()
    .toBuffer()
  const threadTime = () => Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6
  const processTime = () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  }
  ;(await loadImage(large)).dispose()
  const [thread, whole] = [threadTime(), processTime()]
  using _image = await loadImage(large, { size: [224, 224] })
  const [ours, all] = [threadTime() - thread, processTime() - whole]
  t.log(`${ours.toFixed(0)} ms of ${all.toFixed(0)} ms were on the JavaScript thread`)
  t.true(ours < all * 0.4)
})

test.serial('a file that was overwritten is read again', async (t) => {
  const path = join(folder, 'again.png')
  writeFileSync(path, png)
  using first = await loadImage(path)
  const other = join(folder, 'other.png')
  await sharp(
    corners.map((value) => 255 - value),
    { raw: { width: 2, height: 2, channels: 3 } },
  )
    .png()
    .toFile(other)
  copyFileSync(other, path)
  using second = await loadImage(path)
  t.deepEqual(bytesOf(first), Uint8Array.from(corners))
  t.deepEqual(bytesOf(second), Uint8Array.from(corners.map((value) => 255 - value)))
})

test.serial('loadImage works in a worker thread', async (t) => {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(workerData.library).then(async ({ loadImage }) => {
      const image = await loadImage(workerData.png, { size: [4, 4] })
      parentPort.postMessage(image.shape)
      image.dispose()
    })`
  const worker = new Worker(code, {
    eval: true,
    workerData: { library: new URL('../../lib/index.js', import.meta.url).href, png },
  })
  const shape = await new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  t.deepEqual(shape, [1, 3, 4, 4])
  t.is(await new Promise((resolve) => worker.once('exit', resolve)), 0)
})

/** [1, 3, H, W] in [0, 1] as bytes of the pixels, one after another. */
function bytesOf(image: Tensor): Uint8Array {
  using last = image.permute([0, 2, 3, 1])
  return Uint8Array.from(last.toTypedArray() as Float32Array, (value) => Math.round(value * 255))
}
