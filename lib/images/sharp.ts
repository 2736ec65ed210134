import { availableParallelism } from 'node:os'
import { GradCamError } from '../base/errors.js'
import { sharpRemedy } from '../base/sharp-remedy.js'

export type Sharp = typeof import('sharp').default

let loading: Promise<Sharp> | undefined

/**
 * sharp, loaded at the first image: maps and models need none of it.
 *
 * It runs on libuv's threads, one per image, and would on some systems start as many threads again for each as there
 * are cores, which then contend with LibTorch's. Decoding gains nothing from them, so they are limited to one, for the
 * whole process, unless the program chose a number itself by `sharp.concurrency()` or VIPS_CONCURRENCY.
 */
export function loadSharp(): Promise<Sharp> {
  return (loading ??= load())
}

async function load(): Promise<Sharp> {
  try {
    const { default: sharp } = await import('sharp')
    const chosen = process.env['VIPS_CONCURRENCY'] !== undefined || sharp.concurrency() !== availableParallelism()
    if (!chosen) sharp.concurrency(1)
    return sharp
  } catch (cause) {
    throw new GradCamError(
      'ERR_TOOL_MISSING',
      `sharp, which reads and writes images, cannot be loaded: ${(cause as Error).message.split('\n')[0]?.replace(/\.?$/, '.')}`,
      { remedy: sharpRemedy, cause },
    )
  }
}
