import { either, expect, invalid } from '../base/check.js'
import type { Preprocess, Resample } from './specification.js'

const black = [0, 0, 0] as const

const every = (channels: number, value: number): number[] => Array.from({ length: channels }, () => value)

/** Whether an object is the `pretrained_cfg` that timm publishes with a model. */
export function isTimmConfig(given: object): boolean {
  return 'input_size' in given || 'crop_pct' in given || 'interpolation' in given
}

/**
 * The preprocessing of timm's evaluation transforms for such a configuration. Values that mean the same in both are passed on
 * as they were given, for `readPreprocess` to check.
 */
export function fromTimm(given: object): Preprocess {
  const config = given as Readonly<Record<string, unknown>>
  const { input_size: size, crop_pct: share = 0.875, crop_mode: mode = 'center', interpolation = 'bicubic' } = config
  if (!Array.isArray(size) || size.length !== 3 || !size.every((n) => Number.isSafeInteger(n) && n > 0))
    throw invalid('input_size', '[channels, height, width] in whole pixels', size)
  const cropShare = expect.number('crop_pct', share, { above: 0, max: 1 })
  const [, height, width] = size as [number, number, number]
  const scaled = [Math.floor(height / cropShare), Math.floor(width / cropShare)] as const
  const channels = size[0] as number
  // ImageNet's, which are for red, green and blue, go with 3 channels alone.
  const mean = (config['mean'] ?? (channels === 3 ? [0.485, 0.456, 0.406] : every(channels, 0))) as number[]
  const rest = {
    resample: interpolation as Resample,
    crop: [height, width] as const,
    fill: black,
    mean,
    std: (config['std'] ?? (channels === 3 ? [0.229, 0.224, 0.225] : every(channels, 1))) as number[],
  }
  if (mode === 'center') return { ...rest, resize: scaled[0] === scaled[1] ? scaled[0] : { cover: scaled } }
  if (mode === 'squash') return { ...rest, resize: scaled }
  if (mode === 'border')
    return {
      ...rest,
      resize: { fit: scaled },
      // A mean that is not an array is refused as such by readPreprocess.
      fill: (Array.isArray(mean)
        ? (mean.length === 1 ? [...mean, ...mean, ...mean] : mean.slice(0, 3)).map((level) => Math.round(255 * level))
        : black) as [number, number, number],
    }
  throw invalid('crop_mode', either(['center', 'squash', 'border']), mode)
}
