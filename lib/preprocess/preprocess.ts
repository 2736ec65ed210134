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
    ...readScales(given),
  }
  return result
}

/** One number for each channel: three, or as many of both as a model of other images has. */
function readScales(given: { readonly mean?: unknown; readonly std?: unknown }): Pick<Preprocess, 'mean' | 'std'> {
  const isDeviation = (n: number): boolean => Number.isFinite(n) && n > 0
  const numbers = (value: unknown, fits: (n: number) => boolean): number[] | null => {
    const list: readonly unknown[] = toList(value) ?? []
    return list.every((n) => typeof n === 'number' && fits(n)) ? (list as number[]) : null
  }
  const mean = numbers(given.mean, Number.isFinite)
  const std = numbers(given.std, isDeviation)
  if (mean && std && mean.length > 0 && mean.length === std.length) return { mean, std }
  return {
    mean: three(given.mean ?? 0, 'mean', Number.isFinite, 'that are finite'),
    std: three(given.std ?? 1, 'std', isDeviation, 'above 0'),
  }
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
