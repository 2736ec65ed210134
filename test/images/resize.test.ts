import { encodeImage, loadImage, Tensor, tidy } from '../../lib/index.js'
import { imageReference, type ResizeCase } from '../support/images.js'
import type { Values } from '../support/stored-tensor.js'
import { needing } from '../support/needs.js'

const sizes: Record<string, Pick<ResizeCase, 'from' | 'to'>> = {
  'down to a model': { from: [640, 427], to: [224, 224] },
  'down by a little': { from: [231, 229], to: [224, 224] },
  'down to odd sizes': { from: [333, 257], to: [101, 37] },
  'down a lot': { from: [1001, 701], to: [7, 5] },
  up: { from: [64, 48], to: [224, 224] },
  'up to odd sizes': { from: [37, 53], to: [211, 173] },
  'up and down': { from: [50, 400], to: [224, 224] },
  'from one pixel': { from: [1, 1], to: [9, 7] },
  'to one pixel': { from: [40, 30], to: [1, 1] },
  'along one side alone': { from: [100, 80], to: [50, 80] },
  'very tall': { from: [6, 974], to: [224, 224] },
  'so tall that one side is a line': { from: [1, 300], to: [3, 299] },
}

const cases = Object.fromEntries(
  Object.entries(sizes).flatMap(([name, size]) =>
    (['bilinear', 'bicubic', 'lanczos'] as const).map((filter) => [`${filter}, ${name}`, { ...size, filter }]),
  ),
) satisfies Record<string, ResizeCase>

const peer = await imageReference('image-resizes', { resizes: cases })
const withPeer = needing('packages', peer)

for (const [name, { to, filter }] of Object.entries(cases)) {
  const title = `loadImage resizes as Pillow does: ${name}`
  withPeer(title, async (t) => {
    const { source, bytes } = peer!.resize(name)
    const file = await pngOf(source)
    using image = await loadImage(file, { size: [to[1], to[0]], resample: filter })
    t.deepEqual(image.shape, [1, 3, to[1], to[0]])
    using last = image.permute([0, 2, 3, 1])
    const got = (last.toTypedArray() as Float32Array).map((value) => value * 255)
    const expected = Float32Array.from(bytes.data as Uint8Array)
    t.deepEqual(got.map(Math.round), expected)
  })
}

/** [H, W, 3] bytes as a PNG, which keeps each. */
async function pngOf({ data, shape }: Values): Promise<Buffer> {
  using image = tidy(() =>
    Tensor.from(data as Uint8Array, shape)
      .permute([2, 0, 1])
      .to({ dtype: 'float32' })
      .div(255),
  )
  return await encodeImage(image)
}
