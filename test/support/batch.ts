import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { packageRoot } from '../../lib/base/paths.js'
import { loadSharp } from '../../lib/images/sharp.js'

export const sampleModel = join(packageRoot, 'samples', 'animals-densenet.pt')
export const sampleLabels = join(packageRoot, 'samples', 'labels.txt')

/** A JPEG that looks different for each seed. */
export async function jpegOf(seed: number, [width, height]: readonly [number, number] = [96, 72]): Promise<Buffer> {
  const data = Buffer.alloc(width * height * 3)
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let channel = 0; channel < 3; channel++, i++)
        data[i] =
          128 + 70 * Math.sin(x / (9 + (seed % 7)) + channel + seed) + 50 * Math.cos(y / (5 + (seed % 11)) - channel)
  const sharp = await loadSharp()
  return sharp(data, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 92 })
    .toBuffer()
}

/** Writes such images by their paths below a folder. */
export async function writeJpegs(folder: string, names: readonly string[]): Promise<void> {
  for (const [seed, name] of names.entries()) {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, await jpegOf(seed))
  }
}
