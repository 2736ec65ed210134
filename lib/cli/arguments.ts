import { GradCamError } from '../base/errors.js'
import { toNativeReshape, type PlainReshape } from '../cam/reshape.js'
import { nearestName } from '../base/nearest.js'
import type { Option, Values } from './command.js'

/** The error for a command that was called wrongly: exit code 2. */
export function usageError(message: string): GradCamError {
  return new GradCamError('ERR_USAGE', message)
}

/** The value of an option that is given at most once. */
export function single(values: Values, name: string): string | undefined {
  const value = values[name]
  return typeof value === 'string' ? value : undefined
}

/** The values of an option that may be given several times, each once. */
export function several(values: Values, name: string): string[] {
  const value = values[name]
  return Array.isArray(value) ? [...new Set(value.map(String))] : []
}

/** The value of an option that has a few possible values; the first of them by default. */
export function choice<Choice extends string>(values: Values, name: string, choices: readonly Choice[]): Choice {
  const value = single(values, name)
  return value === undefined ? (choices[0] as Choice) : oneOf(name, value, choices)
}

/** The same for an option that takes several, with commas between or given several times; the first one by default. */
export function choiceOfSeveral<Choice extends string>(
  values: Values,
  name: string,
  choices: readonly Choice[],
): Choice[] {
  const given = several(values, name).flatMap((text) => text.split(','))
  const chosen = given.map((text) => text.trim()).filter((text) => text !== '')
  if (chosen.length === 0 && given.length > 0)
    throw usageError(`--${name} requires at least one of ${choices.join(', ')}.`)
  return chosen.length === 0 ? [choices[0] as Choice] : [...new Set(chosen.map((one) => oneOf(name, one, choices)))]
}

function oneOf<Choice extends string>(name: string, value: string, choices: readonly Choice[]): Choice {
  const found = choices.find((one) => one === value)
  if (found !== undefined) return found
  const near = nearestName(value, choices)
  const meant = near === null ? '' : ` Did you mean ${near}?`
  throw usageError(`--${name} requires one of ${choices.join(', ')}; "${value}" is none of them.${meant}`)
}

/** The value of an option that is a whole number of at least `least`. */
export function wholeNumber(values: Values, name: string, least: number): number | undefined {
  const text = single(values, name)
  if (text === undefined) return undefined
  const number = /^\d{1,15}$/.test(text) ? Number(text) : NaN
  if (!(number >= least)) throw usageError(`--${name} requires a whole number of at least ${least}, not "${text}".`)
  return number
}

/** A size in pixels, 'HxW' or 'N' for a square, as [height, width]. */
export function parseSize(text: string, name = 'size'): [number, number] {
  const [height = 0, width = height, ...more] = integers(text)
  if (height < 1 || width < 1 || more.length > 0)
    throw usageError(`--${name} requires height and width in pixels, e.g. 224x224, not "${text}".`)
  return [height, width]
}

/** One number for all spatial dimensions, or a number for each: HxW, DxHxW for volumes. */
export function parseLengths(text: string, name: string): number | readonly number[] {
  const lengths = integers(text)
  if (lengths.length === 0 || lengths.length > 3 || lengths.some((length) => length < 1))
    throw usageError(
      `--${name} requires height and width in pixels, e.g. 32x32, DxHxW for volumes, or one number for all dimensions, not "${text}".`,
    )
  const [only] = lengths
  return lengths.length === 1 && only !== undefined ? only : lengths
}

/** A value of --reshape: a name, or JSON. */
export function parseReshape(text: string | undefined): PlainReshape | null {
  if (text === undefined) return null
  if (text === 'vit' || text === 'swin') return text
  try {
    const reshape = JSON.parse(text) as PlainReshape
    toNativeReshape(reshape)
    return reshape
  } catch {
    throw usageError(
      `--reshape requires vit, swin, or JSON such as '{"tokens":"input","skip":2}' or '{"permute":[0,2,1]}', not "${text}".`,
    )
  }
}

/** The sizes of an input, 'HxW' or others: see `inputShape`. */
export function parseSizes(text: string): number[] {
  const sizes = integers(text)
  if (sizes.length === 0 || sizes.length > 4 || sizes.some((size) => size < 1))
    throw usageError(
      `--size requires height and width in pixels, e.g. 224x224, or 1x28x28 for one channel, not "${text}".`,
    )
  return sizes
}

/** The option --shape of commands that run a model on noise. */
export const shapeOption: Option = {
  type: 'string',
  value: 'NxCxHxW',
  help: 'instead of --size: the whole shape of the input, for inputs that are not images, e.g. 1x16000 for sound without channels',
}

/** The value of --shape: all sizes of an input, that of the batch first. */
export function readShape(values: Values): number[] | null {
  const text = single(values, 'shape')
  if (text === undefined) return null
  if (values['size'] !== undefined) throw usageError('--shape says the whole shape of the input: leave out --size.')
  const shape = integers(text)
  if (shape.length < 2 || shape.some((size) => size < 1))
    throw usageError(
      `--shape requires all sizes of the input, that of the batch first, e.g. 1x3x224x224, not "${text}".`,
    )
  return shape
}

/** The option --reshape of several commands. */
export const reshapeOption: Option = {
  type: 'string',
  value: 'HOW',
  help: 'for layers that do not return [N, C, h, w]: vit for tokens after a class token, swin for [N, h, w, C], or JSON, {"tokens":[rows,columns],"skip":N} or {"permute":[0,2,1]}',
}

function integers(text: string): number[] {
  return /^\d{1,6}(?:[xX×]\d{1,6})*$/.test(text) ? text.split(/[xX×]/).map(Number) : []
}

/** Options of every command that loads a model. */
export const trustOption: Readonly<Record<'untrusted', Option>> = {
  untrusted: {
    type: 'boolean',
    help: 'refuse a model that reaches files, and try it in a process of its own first; see SECURITY.md',
  },
}

/** An option of every command that reads images. */
export const svgOption: Readonly<Record<'svg', Option>> = {
  svg: { type: 'boolean', help: 'also accept SVG, which is rendered in a process of its own' },
}

/** What `--untrusted` means for loading a model that runs on inputs of this shape, where it is known. */
export function readTrust(
  values: Values,
  shape: readonly number[] | null = null,
): { readonly trust: 'trusted' | 'untrusted'; readonly trial?: { readonly shape: readonly number[] } } {
  return { trust: values['untrusted'] === true ? 'untrusted' : 'trusted', ...(shape && { trial: { shape } }) }
}
