import { inspect } from 'node:util'
import { checkSmoothing, type Smoothing } from '../attribution/smoothing.js'
import { expect } from '../base/check.js'
import { toNativeReshape, type Reshape } from '../cam/reshape.js'
import { GradCamError } from '../base/errors.js'
import { nearestName } from '../base/nearest.js'
import { methodOptions, type MethodSettings } from './options.js'
import { checkMethodNames, methodNames, methods, type MethodName } from './table.js'

type SettingName = keyof MethodSettings

/** One setting: which methods take it, and a check of its value that returns what is valid instead, or null. */
interface Setting {
  readonly of: readonly MethodName[]
  readonly problem: (value: unknown) => string | null
}

const cams = methodNames.filter((name) => methods[name].by === 'Cam')

const settings: Readonly<Record<SettingName, Setting>> = {
  execution: { of: cams, problem: oneOf(['auto', 'split', 'hooked']) },
  precision: { of: cams, problem: oneOf(['bfloat16', 'float16']) },
  eigenSmooth: { of: methodOptions.eigenSmooth.of, problem: oneOf([true, false]) },
  reshape: { of: methodOptions.reshape.of, problem: reshape },
  chunkSize: { of: methodOptions.chunkSize.of, problem: wholeNumber(1) },
  seed: { of: methodOptions.seed.of, problem: wholeNumber(0) },
  steps: { of: methodOptions.steps.of, problem: wholeNumber(1) },
  smooth: { of: methodOptions.smooth.of, problem: smoothing },
  window: { of: methodOptions.window.of, problem: size },
  stride: { of: methodOptions.stride.of, problem: size },
  masks: { of: methodOptions.masks.of, problem: wholeNumber(1) },
}

/**
 * Reads the settings of methods from plain data, e.g. from the JSON of a request, for {@link makeMapExplainers}.
 *
 * @param given values by the names in {@link MethodSettings}; undefined counts as not given
 * @param names the methods that are to be used
 * @throws GradCamError ERR_INVALID_ARGUMENT for an unknown name, for an invalid value, and for a setting that none of
 *   these methods takes; the message begins with the name
 */
export function readMethodSettings(
  given: Readonly<Record<string, unknown>>,
  names: readonly MethodName[],
): MethodSettings {
  checkMethodNames(names)
  const entries = Object.entries(expect.options(given, 'given')).filter(([, value]) => value !== undefined)
  for (const [name, value] of entries) {
    if (!isSettingName(name)) throw refused(`${name} is not a setting.${nearest(name)}`)
    const { of, problem } = settings[name]
    if (!of.some((method) => names.includes(method)))
      throw refused(`${name} goes with ${of.join(', ')}, not with ${names.join(', ')}. Leave it out.`)
    const expected = problem(value)
    if (expected !== null) throw refused(`${name} is ${inspect(value)}: give ${expected}.`)
    if (name === 'smooth') checkSmoothing(value as Smoothing)
  }
  return Object.fromEntries(entries) as MethodSettings
}

function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(settings, name)
}

function nearest(name: string): string {
  const near = nearestName(name, Object.keys(settings))
  return near === null ? ` The settings are ${Object.keys(settings).join(', ')}.` : ` Did you mean ${near}?`
}

function oneOf(choices: readonly unknown[]): Setting['problem'] {
  return (value) => (choices.includes(value) ? null : choices.join(' or '))
}

function wholeNumber(least: number): Setting['problem'] {
  return (value) =>
    Number.isSafeInteger(value) && (value as number) >= least ? null : `a whole number of at least ${least}`
}

function size(value: unknown): string | null {
  const isSize =
    Array.isArray(value) &&
    value.length === 2 &&
    value.every((side) => Number.isSafeInteger(side) && (side as number) > 0)
  return isSize ? null : '[height, width] in pixels'
}

function reshape(value: unknown): string | null {
  try {
    toNativeReshape(value as Reshape)
    return null
  } catch {
    return "'vit', 'swin', { tokens: 'input' | [rows, columns], skip }, { permute: [...] } with each dimension once, or a function"
  }
}

function smoothing(value: unknown): string | null {
  const known = ['kind', 'samples', 'sigma', 'seed']
  const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isPlain && Object.keys(value).every((key) => known.includes(key))
    ? null
    : `an object with ${known.join(', ')}, each of them optional`
}

function refused(message: string): GradCamError {
  return new GradCamError('ERR_INVALID_ARGUMENT', message)
}
