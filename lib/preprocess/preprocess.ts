import { either, expect, invalid, isRecord, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { isPresetName, presets, type PresetName } from './presets.js'
import { resamples, type Preprocess, type Resample, type Size } from './specification.js'
import { fromTimm, isTimmConfig } from './timm.js'

export { resamples, type Preprocess, type Resample, type Size }

/** How a preprocessing may be given: a preset's name, a whole {@link Preprocess}, or what JSON holds of one. */
export type PreprocessInput = PresetName | Preprocess | Readonly<Record<string, unknown>>

const known = ['resize', 'resample', 'crop', 'fill', 'mean', 'std']

/**
 * Reads a preprocessing.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT with what is wrong in it
 */
export function readPreprocess(input: PreprocessInput): Preprocess {
  if (typeof input === 'string') {
    if (isPresetName(input)) return presets[input]
    throw invalid('preprocess', `${either(Object.keys(presets))}, or an object`, input)
  }
  if (!isRecord(input)) throw invalid('preprocess', "a preset's name or an object", input)
  const given = isTimmConfig(input) ? fromTimm(input) : input
  const unknown = Object.keys(given).find((key) => !known.includes(key))
  if (unknown !== undefined)
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `A preprocessing has no option '${unknown}'; it has ${known.join(', ')}.`,
      { details: { unknown, known } },
    )
  const result: Preprocess = {
    resize: readResize(given['resize']),
    resample: expect.oneOf('resample', given['resample'] ?? 'bilinear', resamples),
    crop: given['crop'] === undefined || given['crop'] === null ? null : readSize(given['crop'], 'crop'),
    fill: three(given['fill'] ?? [0, 0, 0], 'fill', (n) => Number.isInteger(n) && n >= 0 && n <= 255, 'from 0 to 255'),
    mean: three(given['mean'] ?? [0, 0, 0], 'mean', Number.isFinite, 'that are finite'),
    std: three(given['std'] ?? [1, 1, 1], 'std', (n) => Number.isFinite(n) && n > 0, 'above 0'),
  }
  return result
}

function readResize(value: unknown): Preprocess['resize'] {
  if (value === null || isPixels(value)) return value
  if (isRecord(value)) {
    const [entry, ...more] = Object.entries(value)
    if (entry && more.length === 0 && entry[0] === 'cover') return { cover: readSize(entry[1], 'resize.cover') }
    if (entry && more.length === 0 && entry[0] === 'fit') return { fit: readSize(entry[1], 'resize.fit') }
  } else if (toList(value)) return readSize(value, 'resize')
  throw invalid('resize', 'a number of pixels, [height, width], { cover }, { fit } or null', value)
}

function readSize(value: unknown, what: string): Size {
  if (isPixels(value)) return [value, value]
  const sizes: readonly unknown[] = toList(value) ?? []
  if (sizes.length === 2 && sizes.every(isPixels)) return sizes as unknown as Size
  throw invalid(what, `[height, width] in whole pixels, each from 1 to ${mostPixels}`, value)
}

/** The longest side of an image that can be made. */
const mostPixels = 65_535

function isPixels(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= mostPixels
}

function three(
  value: unknown,
  what: string,
  fits: (number: number) => boolean,
  words: string,
): [number, number, number] {
  const list: readonly unknown[] = toList(value) ?? [value, value, value]
  if (list.length === 3 && list.every((n) => typeof n === 'number' && fits(n))) return list as [number, number, number]
  throw invalid(what, `three numbers ${words}, for red, green and blue`, value)
}
