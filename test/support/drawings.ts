import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import sharp from 'sharp'

/** Writes a PNG of noise, another one for each seed, 60 x 40. */
export async function drawNoise(file: string, seed: number): Promise<string> {
  const [width, height] = [60, 40]
  let state = seed + 1
  const noise = Uint8Array.from({ length: width * height * 3 }, () => {
    state = (state * 48271) % 2147483647 // Park and Miller's generator
    return state % 256
  })
  mkdirSync(dirname(file), { recursive: true })
  await sharp(noise, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(file)
  return file
}

/** An image's pixels, row by row: red, green and blue of each. */
export interface Decoded {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

export async function decodeImage(file: string): Promise<Decoded> {
  const { data, info } = await sharp(file).toColourspace('srgb').raw().toBuffer({ resolveWithObject: true })
  if (info.channels !== 3) throw new Error(`${file} has ${info.channels} channels`)
  return { width: info.width, height: info.height, data: new Uint8Array(data) }
}

/** The values of an image that is grey all over; throws for one that is not. */
export function greyValues({ data }: Decoded): number[] {
  return Array.from({ length: data.length / 3 }, (_, pixel) => {
    const [red, green, blue] = data.subarray(pixel * 3, pixel * 3 + 3)
    if (red === undefined || red !== green || red !== blue) throw new Error(`pixel ${pixel} is not grey`)
    return red
  })
}
