import { GradCamError } from '../base/errors.js'

/** Throws ERR_IMAGE_TOO_LARGE. */
export function refuseLarge(
  name: string,
  { width, height }: { width: number; height: number },
  maxPixels: number,
): void {
  if (width * height <= maxPixels) return
  throw new GradCamError(
    'ERR_IMAGE_TOO_LARGE',
    `${name} has ${width} x ${height} = ${width * height} pixels; more than ${maxPixels} are refused, since a small file ` +
      'may claim to hold more than memory does.',
    {
      remedy: 'Make it smaller, or raise maxPixels if you trust it.',
      details: { width, height, maxPixels },
    },
  )
}

export function tookTooLong(name: string, seconds: number): GradCamError {
  return new GradCamError('ERR_IMAGE_TIMEOUT', `${name} took longer than ${seconds} s to decode.`, {
    remedy: 'Raise decodeSeconds if you trust it, or save it again as PNG or JPEG.',
    details: { decodeSeconds: seconds },
  })
}
