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

export interface Decoded {
  readonly width: number
  readonly height: number
  readonly channels: number
  readonly data: Uint8Array
}

/** The bytes of a picture, decoded by sharp. */
export async function decodePicture(file: string): Promise<Decoded> {
  const { data, info } = await sharp(file).raw().toBuffer({ resolveWithObject: true })
  return { width: info.width, height: info.height, channels: info.channels, data: new Uint8Array(data) }
}

/** Where the brightest pixel of a grey map is. */
export function brightest({ width, channels, data }: Decoded): { x: number; y: number } {
  let at = 0
  for (let pixel = 0; pixel < data.length / channels; pixel++) {
    if ((data[pixel * channels] as number) > (data[at * channels] as number)) at = pixel
  }
  return { x: at % width, y: Math.floor(at / width) }
}
