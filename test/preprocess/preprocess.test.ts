import test from 'ava'
import { readFileSync } from 'node:fs'
import {
  framingOf,
  GradCamError,
  overlay,
  presets,
  readPreprocess,
  seenRegion,
  Tensor,
  type Framing,
} from '../../lib/index.js'
import type { Preprocess, PreprocessInput } from '../../lib/index.js'
import { decode } from '../../lib/images/decode.js'
import type { Pixels } from '../../lib/images/pixels.js'
import { drawGrey, drawOverlay } from '../../lib/images/draw-map.js'
import { frameImage } from '../../lib/images/frame-image.js'
import { preprocessReference } from '../support/preprocess.js'
import { needing } from '../support/needs.js'

const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
/** Every preset, and what no preset does. */
const cases: Record<string, PreprocessInput> = {
  ...presets,
  padded: { resize: null, crop: 1000, ...imagenet },
  lanczos: { resize: 97, resample: 'lanczos', crop: 64, ...imagenet },
}

const peer = await preprocessReference()
const withPeer = needing('packages', peer)

const limits = { maxPixels: 1e8, decodeSeconds: 60, svg: false, background: undefined }

async function frame(file: string, how: Preprocess): Promise<{ planes: Float32Array; framing: Framing }> {
  const image = await decode(readFileSync(file), file, limits, {})
  const framing = framingOf([image.height, image.width], how)
  using planes = await frameImage(image, framing, how)
  return { planes: planes.toTypedArray() as Float32Array, framing }
}

function worstOf(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  let worst = 0
  for (let i = 0; i < expected.length; i++)
    worst = Math.max(worst, Math.abs((got[i] as number) - (expected[i] as number)))
  return worst
}

for (const [name, how] of Object.entries(cases)) {
  const title = `${name} gives a model what torchvision's and timm's transforms do`
  withPeer(title, async (t) => {
    for (const file of peer!.files()) {
      const { bytes, scaled } = peer!.image(file, name)
      const read = readPreprocess(how)
      const { planes, framing } = await frame(peer!.path(file), { ...read, mean: [0, 0, 0], std: [1, 1, 1] })
      const [height = 0, width = 0] = bytes.shape
      t.deepEqual([...framing.size], [height, width], file)
      const got = Float32Array.from(bytes.data as Uint8Array, (_, i) => {
        const [pixel, channel] = [Math.floor(i / 3), i % 3]
        return Math.round((planes[channel * height * width + pixel] as number) * 255)
      })
      const worst = worstOf(got, bytes.data as Uint8Array)
      // Where the decoder's bytes are the same, so are ours; a JPEG may be decoded 1 of 255 apart.
      t.true(worst <= (file.endsWith('.jpg') ? 1 : 0), `${file}: ${worst} of 255 from Pillow`)
      const final = await frame(peer!.path(file), read)
      const step = file.endsWith('.jpg') ? 1 / 255 / 0.224 + 1e-6 : 1e-6
      t.true(worstOf(final.planes, scaled.data as Float32Array) <= step, `${file} scaled`)
    }
  })
}

for (const name of ['crop', 'padding', 'whole']) {
  const title = `a map lies over the image where the model looked: ${name}`
  withPeer(title, async (t) => {
    const { map, image, framing, spread } = peer!.spread(name)
    const [height = 0, width = 0] = spread.shape
    const cells = { data: map.data as Float32Array, height: map.shape[0] as number, width: map.shape[1] as number }
    const exact = spread.data as Float64Array
    const seen = exact.filter((value) => !Number.isNaN(value))
    const low = Math.min(...seen)
    const range = Math.max(...seen) - low + 1e-8
    const stretched = exact.map((value) => (Number.isNaN(value) ? 0 : (value - low) / range))

    const grey = await drawGrey(cells, [height, width], framing, Uint8Array)
    t.true(
      worstOf(
        grey,
        stretched.map((value) => value * 255),
      ) <=
        0.5 + 1e-3,
    )
    const deep = await drawGrey(cells, [height, width], framing, Uint16Array)
    t.true(
      worstOf(
        deep,
        stretched.map((value) => value * 65_535),
      ) <=
        0.5 + 0.1,
    )

    const region = seenRegion([height, width], framing)
    let count = 0
    for (let y = region.top; y < region.bottom; y++)
      for (let x = region.left; x < region.right; x++, count++) t.false(Number.isNaN(exact[y * width + x] as number))
    t.is(count, seen.length)

    const pixels: Pixels = { data: image.data as Uint8Array, height, width }
    const painted = await drawOverlay(cells, pixels, framing, 0.5)
    for (let i = 0; i < exact.length; i++)
      if (Number.isNaN(exact[i] as number))
        t.deepEqual([...painted.slice(3 * i, 3 * i + 3)], [...pixels.data.slice(3 * i, 3 * i + 3)])
  })
}

test('an overlay of an image that was only resized is that of overlay()', async (t) => {
  const [height, width] = [48, 64]
  const data = Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * 37) % 256)
  const cells = Float32Array.from({ length: 30 }, (_, i) => Math.sin(i) + 1)
  const framing = framingOf([height, width], readPreprocess({ resize: [20, 30] }))
  const painted = await drawOverlay({ data: cells, height: 5, width: 6 }, { data, height, width }, framing, 0.3)
  using bytes = Tensor.from(data, [1, height, width, 3])
  using last = bytes.permute([0, 3, 1, 2])
  using image = last.div(255)
  using map = Tensor.from(cells, [1, 1, 5, 6])
  using expected = overlay(image, map, { alpha: 0.3 })
  using channelsLast = expected.permute([0, 2, 3, 1])
  const values = channelsLast.toTypedArray() as Float32Array
  let off = 0
  for (let i = 0; i < values.length; i++)
    if (Math.abs((values[i] as number) * 255 - (painted[i] as number)) > 0.51) off++
  // A pixel whose value lies on the edge between two colours may take either.
  t.true(off <= values.length / 1000, `${off} of ${values.length} bytes differ`)
})

test('a zero map and one of NaN are drawn as zero', async (t) => {
  const framing = framingOf([4, 4], readPreprocess({ resize: [4, 4] }))
  const draw = (value: number) =>
    drawGrey({ data: new Float32Array(4).fill(value), height: 2, width: 2 }, [4, 4], framing, Uint8Array)
  t.deepEqual([...(await draw(0))], Array<number>(16).fill(0))
  t.deepEqual([...(await draw(NaN))], Array<number>(16).fill(0))
})

test("timm's published configuration is read", (t) => {
  const config = {
    input_size: [3, 288, 288],
    interpolation: 'bicubic',
    crop_pct: 0.95,
    crop_mode: 'center',
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
    num_classes: 1000,
  }
  t.deepEqual(readPreprocess(config), {
    resize: 303,
    resample: 'bicubic',
    crop: [288, 288],
    fill: [0, 0, 0],
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
  })
  t.deepEqual(readPreprocess({ ...config, crop_mode: 'squash' }).resize, [303, 303])
  t.deepEqual(readPreprocess({ ...config, input_size: [3, 190, 285] }).resize, { cover: [200, 300] })
  t.deepEqual(readPreprocess(JSON.parse(JSON.stringify(presets.imagenet)) as Record<string, unknown>), presets.imagenet)
})

const wrong: [unknown, RegExp][] = [
  ['imagnet', /must be 'imagenet', .*, but is 'imagnet'/],
  [null, /`preprocess` must be .*, but is null/],
  [{}, /`resize` must be .*, but is undefined/],
  [{ resize: 0 }, /`resize` must be .*, but is 0/],
  [{ resize: [1, 2, 3] }, /`resize` must be .*, but is \[ 1, 2, 3 \]/],
  [{ resize: { fit: 3, cover: 3 } }, /`resize` must be .*\{ cover \}, \{ fit \} or null, but is/],
  [{ resize: 3, sise: 4 }, /no option 'sise'/],
  [{ resize: 3, resample: 'nearest' }, /`resample` must be .*, but is 'nearest'/],
  [{ resize: 3, crop: -1 }, /`crop` must be .*, but is -1/],
  [{ resize: 3, std: [1, 0, 1] }, /`std` must be three numbers above 0/],
  [{ resize: 3, mean: [1, 2] }, /`mean` must be three numbers/],
  [{ resize: 3, fill: [256, 0, 0] }, /`fill` must be three numbers from 0 to 255/],
  [{ input_size: [0, 28, 28] }, /`input_size` must be \[channels, height, width\]/],
  [{ input_size: [3, 28, 28], crop_pct: 2 }, /`crop_pct` must be a number above 0 up to 1, but is 2/],
  [{ input_size: [3, 28, 28], crop_mode: 'random' }, /`crop_mode` must be .*, but is 'random'/],
]
test('what is not a preprocessing is refused, with what is wrong', (t) => {
  for (const [input, message] of wrong) {
    const error = t.throws(() => readPreprocess(input as PreprocessInput), { instanceOf: GradCamError, message })
    t.is(error.code, 'ERR_INVALID_ARGUMENT')
  }
  t.throws(() => framingOf([1, 10_000_000], presets.imagenet), { code: 'ERR_SHAPE', message: /too narrow/ })
})

test('the addon refuses arrays that do not fit', async (t) => {
  const framing = { resized: [4, 4], offset: [0, 0], size: [4, 4] } as const
  const image = { data: new Uint8Array(5), height: 4, width: 4 }
  await t.throwsAsync(frameImage(image, framing, presets.imagenet), { code: 'ERR_SHAPE' })
  const map = { data: new Float32Array(3), height: 2, width: 2 }
  await t.throwsAsync(drawGrey(map, [4, 4], framing, Uint8Array), { code: 'ERR_SHAPE' })
})
