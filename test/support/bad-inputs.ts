import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { crc32, deflateSync } from 'node:zlib'
import { loadSharp } from '../../lib/images/sharp.js'
import { jpegOf } from './batch.js'

/** [height, width] of what is explained, or the code of the error; null for what is not an input. */
export type Expected = readonly [number, number] | string | null

/**
 * A folder with images of every kind that a job may meet, good ones among bad ones.
 *
 * @returns what is to become of each, by its path below the folder
 */
export async function writeBadInputs(folder: string): Promise<Record<string, Expected>> {
  const sharp = await loadSharp()
  const expected: Record<string, Expected> = {}
  const add = (name: string, bytes: Uint8Array | string, outcome: Expected): void => {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, bytes)
    expected[name] = outcome
  }
  const jpeg = await jpegOf(1)
  const image = (): ReturnType<typeof sharp> => sharp(jpeg)
  add('good.jpg', jpeg, [72, 96])
  add('truncated.jpg', jpeg.subarray(0, jpeg.length / 2), 'ERR_IMAGE_CORRUPT')
  add('corrupt.jpg', Buffer.concat([jpeg.subarray(0, 300), Buffer.alloc(jpeg.length - 300, 0xff)]), 'ERR_IMAGE_CORRUPT')
  add('empty.jpg', '', 'ERR_IMAGE_CORRUPT')
  add('text.jpg', 'Not an image, but a note to say so.\n', 'ERR_IMAGE_CORRUPT')
  add('cmyk.jpg', await image().toColourspace('cmyk').jpeg().toBuffer(), [72, 96])
  add('deep.png', await image().toColourspace('rgb16').png().toBuffer(), [72, 96])
  const frames = { create: { width: 20, height: 30, channels: 3, background: 'red', pageHeight: 10 } } as const
  const animated = sharp(await sharp(frames).raw().toBuffer(), {
    raw: { width: 20, height: 30, channels: 3, pageHeight: 10 },
  })
  add('animated.gif', await animated.clone().gif().toBuffer(), [10, 20])
  add('animated.webp', await animated.clone().webp().toBuffer(), [10, 20])
  add('turned.jpg', await image().withMetadata({ orientation: 6 }).jpeg().toBuffer(), [96, 72])
  add('one.png', await image().resize(1, 1).png().toBuffer(), [1, 1])
  add('huge.png', blankPng(30_000), 'ERR_IMAGE_TOO_LARGE')
  const names = [
    'with space.jpg',
    'new\nline.jpg',
    `it's "quoted".jpg`,
    'größe 日本 عربى 🐈.jpg',
    '--help.jpg',
    '100%41.jpg',
  ]
  for (const name of [...names, '^.jpg', '^/up.jpg', 'cat.jpg@5', 'dot.dir/.hidden.jpg', `${'long'.repeat(60)}.jpg`])
    if (name.endsWith('.jpg')) add(name, jpeg, [72, 96])
  mkdirSync(join(folder, 'folder.jpg'))
  add('notes.md', 'no image', null)
  symlinkSync('.', join(folder, 'loop'))
  symlinkSync('itself.jpg', join(folder, 'itself.jpg'))
  expected['itself.jpg'] = 'ERR_IMAGE_UNREADABLE'
  symlinkSync('gone.png', join(folder, 'nowhere.png'))
  expected['nowhere.png'] = 'ERR_IMAGE_NOT_FOUND'
  symlinkSync('good.jpg', join(folder, 'linked.jpg'))
  expected['linked.jpg'] = [72, 96]
  if (process.platform === 'linux') {
    // What even root cannot read.
    symlinkSync('/proc/self/mem', join(folder, 'unreadable.jpg'))
    expected['unreadable.jpg'] = 'ERR_IMAGE_UNREADABLE'
  }
  return expected
}

/** A white image of one bit a pixel: a few kilobytes that claim to be gigabytes. */
function blankPng(side: number): Buffer {
  const chunk = (kind: string, content: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(kind), content])
    const bytes = Buffer.alloc(body.length + 8)
    bytes.writeUInt32BE(content.length)
    body.copy(bytes, 4)
    bytes.writeUInt32BE(crc32(body), bytes.length - 4)
    return bytes
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(side)
  header.writeUInt32BE(side, 4)
  header[8] = 1
  const rows = deflateSync(Buffer.alloc(side * (Math.ceil(side / 8) + 1)))
  const magic = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10])
  return Buffer.concat([magic, chunk('IHDR', header), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))])
}
