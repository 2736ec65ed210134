import { inspect } from 'node:util'
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
    throw wrong(`There is no preset ${inspect(input)}. There are ${Object.keys(presets).join(', ')}.`)
  }
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw wrong(`${inspect(input)} is no preprocessing: give a preset's name or an object.`)
  const given = isTimmConfig(input) ? fromTimm(input) : (input as Readonly<Record<string, unknown>>)
  const unknown = Object.keys(given).find((key) => !known.includes(key))
  if (unknown !== undefined) throw wrong(`A preprocessing has no '${unknown}'. It has ${known.join(', ')}.`)
  if (given['resize'] === undefined)
    throw wrong("A preprocessing wants 'resize': a number, [height, width], { cover }, { fit } or null.")
  const result: Preprocess = {
    resize: readResize(given['resize']),
    resample: readResample(given['resample'] ?? 'bilinear'),
    crop: given['crop'] === undefined || given['crop'] === null ? null : readSize(given['crop'], 'crop'),
    fill: three(given['fill'] ?? [0, 0, 0], 'fill', (n) => Number.isInteger(n) && n >= 0 && n <= 255, 'from 0 to 255'),
    mean: three(given['mean'] ?? [0, 0, 0], 'mean', Number.isFinite, 'finite'),
    std: three(given['std'] ?? [1, 1, 1], 'std', (n) => Number.isFinite(n) && n > 0, 'above 0'),
  }
  return result
}

function readResize(value: unknown): Preprocess['resize'] {
  if (value === null || isPixels(value)) return value
  if (typeof value === 'object' && !Array.isArray(value)) {
    const [entry, ...more] = Object.entries(value)
    if (entry && more.length === 0 && entry[0] === 'cover') return { cover: readSize(entry[1], 'resize.cover') }
    if (entry && more.length === 0 && entry[0] === 'fit') return { fit: readSize(entry[1], 'resize.fit') }
    throw wrong(`resize is ${inspect(value)}: an object has 'cover' or 'fit', a [height, width].`)
  }
  return readSize(value, 'resize')
}

function readResample(value: unknown): Resample {
  const found = resamples.find((name) => name === value)
  if (found) return found
  throw wrong(`There is no filter ${inspect(value)} to resample with. Use ${resamples.join(', ')}.`)
}

function readSize(value: unknown, what: string): Size {
  if (isPixels(value)) return [value, value]
  if (Array.isArray(value) && value.length === 2 && value.every(isPixels)) return [value[0], value[1]] as Size
  throw wrong(`${what} is ${inspect(value)}: give [height, width] in whole pixels.`)
}

function isPixels(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= 65_535
}

function three(
  value: unknown,
  what: string,
  fits: (number: number) => boolean,
  words: string,
): [number, number, number] {
  const numbers = typeof value === 'number' ? [value, value, value] : value
  if (Array.isArray(numbers) && numbers.length === 3 && numbers.every((n) => typeof n === 'number' && fits(n)))
    return numbers as [number, number, number]
  throw wrong(`${what} is ${inspect(value)}: give three numbers ${words}, for red, green and blue.`)
}

function wrong(message: string): GradCamError {
  return new GradCamError('ERR_INVALID_ARGUMENT', message)
}
