import { native } from '../addon/native.js'
import type { Pixels } from '../images/decode.js'
import type { Framing } from './framing.js'
import type { Preprocess } from './preprocess.js'

const tables = new WeakMap<Preprocess, Float32Array>()

/**
 * Resizes, crops and scales an image for a model, on the addon's thread for images. The bytes before scaling are exactly those
 * that Pillow, and so torchvision on a PIL image, computes.
 *
 * @returns float32 planes [3, height, width] of `framing.size`
 */
export async function frameImage(
  { data, height, width }: Pixels,
  framing: Framing,
  how: Preprocess,
): Promise<Float32Array> {
  const planes = new Float32Array(3 * framing.size[0] * framing.size[1])
  await native().frameImage(data, [height, width], framing, how.resample, how.fill, tableOf(how), planes)
  return planes
}

/** The value of each byte of each channel, rounded after each step as LibTorch rounds `(byte / 255 - mean) / std`. */
function tableOf(how: Preprocess): Float32Array {
  const known = tables.get(how)
  if (known) return known
  const table = new Float32Array(3 * 256)
  for (let channel = 0; channel < 3; channel++) {
    const mean = Math.fround(how.mean[channel] as number)
    const std = Math.fround(how.std[channel] as number)
    for (let byte = 0; byte < 256; byte++)
      table[channel * 256 + byte] = Math.fround(Math.fround(byte / 255) - mean) / std
  }
  tables.set(how, table)
  return table
}
