import { inspect } from 'node:util'
import { GradCamError } from '../base/errors.js'
import type { Preprocess, Resample } from './specification.js'

/** Whether an object is the `pretrained_cfg` that timm publishes with a model. */
export function isTimmConfig(given: object): boolean {
  return 'input_size' in given || 'crop_pct' in given || 'interpolation' in given
}

/**
 * The preprocessing that timm's evaluation transforms are for such a configuration. What has the same meaning here and there
 * is passed on as it was given, for `readPreprocess` to check.
 */
export function fromTimm(given: object): Preprocess {
  const config = given as Readonly<Record<string, unknown>>
  const { input_size: size, crop_pct: share = 0.875, crop_mode: mode = 'center', interpolation = 'bicubic' } = config
  if (
    !Array.isArray(size) ||
    size.length !== 3 ||
    size[0] !== 3 ||
    !size.every((n) => Number.isSafeInteger(n) && n > 0)
  )
    throw wrong(`input_size is ${inspect(size)}: give [3, height, width].`)
  if (typeof share !== 'number' || !(share > 0 && share <= 1))
    throw wrong(`crop_pct is ${inspect(share)}: give a number above 0, up to 1.`)
  const [, height, width] = size as [number, number, number]
  const scaled = [Math.floor(height / share), Math.floor(width / share)] as const
  const mean = (config['mean'] ?? [0.485, 0.456, 0.406]) as number[]
  const rest = {
    resample: interpolation as Resample,
    crop: [height, width] as const,
    fill: [0, 0, 0] as const,
    mean,
    std: (config['std'] ?? [0.229, 0.224, 0.225]) as number[],
  }
  if (mode === 'center') return { ...rest, resize: scaled[0] === scaled[1] ? scaled[0] : { cover: scaled } }
  if (mode === 'squash') return { ...rest, resize: scaled }
  if (mode === 'border')
    return {
      ...rest,
      resize: { fit: scaled },
      fill: mean.map((level) => Math.round(255 * level)) as [number, number, number],
    }
  throw wrong(`There is no crop_mode ${inspect(mode)}. Use center, squash or border.`)
}

function wrong(message: string): GradCamError {
  return new GradCamError('ERR_INVALID_ARGUMENT', message)
}
