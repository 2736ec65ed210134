import { randomBytes } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import sharp from 'sharp'
import { drawConcepts, loadImage, manualSeed, Tensor } from '../../lib/index.js'
import { lateness, latenessAtBest, leastWorst, mostLate } from '../support/lateness.js'

manualSeed(0)

async function staysFree(t: ExecutionContext, work: () => Promise<void>): Promise<void> {
  const often = async (): Promise<void> => {
    const began = performance.now()
    while (performance.now() - began < 250) await work()
  }
  await work() // loads sharp
  const measured = await latenessAtBest(() => lateness(often))
  for (const { worst, ticks } of measured) t.log(`worst ${worst.toFixed(1)} ms, ${ticks} ticks`)
  t.true(
    measured.every(({ ticks }) => ticks > 10),
    'the timer ran all the time',
  )
  t.true(leastWorst(measured) <= mostLate)
}

test.serial(
  'a 5 ms timer is never more than 20 ms late while concepts are drawn over images of a megapixel',
  async (t) => {
    using image = Tensor.rand([1, 3, 1000, 1000])
    using maps = Tensor.rand([1, 6, 32, 32])
    await staysFree(t, async () => {
      await drawConcepts(image, maps)
    })
  },
)

const [height, width] = [1000, 1600]

/** A header of Windows' bitmaps for 24 bits a pixel. */
function bmpHeader(): Buffer {
  const header = Buffer.alloc(54)
  header.write('BM')
  header.writeUInt32LE(54, 10)
  header.writeUInt32LE(40, 14)
  header.writeInt32LE(width, 18)
  header.writeInt32LE(height, 22)
  header.writeUInt16LE(1, 26)
  header.writeUInt16LE(24, 28)
  return header
}

const noise = randomBytes(height * width * 3)
const raw = { raw: { width, height, channels: 3 } } as const
const files: Readonly<Record<string, () => Buffer | Promise<Buffer>>> = {
  PNG: () => sharp(noise, raw).png({ compressionLevel: 0 }).toBuffer(),
  'PNG of 16 bits of grey': () =>
    sharp(new Uint16Array(noise.buffer.slice(0, height * width * 2)), { raw: { width, height, channels: 1 } })
      .toColourspace('grey16')
      .png({ compressionLevel: 0 })
      .toBuffer(),
  'JPEG of inks': () => sharp(noise, raw).toColourspace('cmyk').jpeg().toBuffer(),
  BMP: () => Buffer.concat([bmpHeader(), noise]),
  PPM: () => Buffer.concat([Buffer.from(`P6 ${width} ${height} 255\n`), noise]),
  PGM: () => Buffer.concat([Buffer.from(`P5 ${width} ${height} 255\n`), noise]),
  'PGM in text': () => Buffer.from(`P2 ${width} ${height} 255\n${noise.subarray(0, height * width).join(' ')}`),
}

for (const [name, make] of Object.entries(files))
  for (const channels of [3, 1])
    test.serial(`nor while a ${name} is read for a model of ${channels} channels`, async (t) => {
      const file = await make()
      await staysFree(t, async () => {
        using image = await loadImage(file, { size: [64, 64], channels })
        t.deepEqual(image.shape, [1, channels, 64, 64])
      })
    })
