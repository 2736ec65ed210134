import { methodOptions, type MethodOption, type MethodOptionName, type MethodSettings } from '../methods/options.js'
import { readMethodSettings } from '../methods/settings.js'
import type { MethodName } from '../methods/table.js'
import { GradCamError } from '../base/errors.js'
import { choice, parseLengths, parseSize, single, usageError, wholeNumber } from './arguments.js'
import type { Option, Values } from './command.js'
import { readPath } from './model-inputs.js'

const flags = Object.entries<MethodOption>(methodOptions).filter(([, { flag }]) => flag !== undefined) as [
  MethodOptionName,
  MethodOption,
][]

/** The option for a setting: maxSigma is --max-sigma. */
export const asFlag = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** 'occlusion, feature-ablation', or the first of them where they are many. */
const shortly = (names: readonly MethodName[]): string =>
  names.length > 4 ? `${names.slice(0, 2).join(', ')} and ${names.length - 2} more` : names.join(', ')

/** The options that only some methods take. */
export const methodFlags: Readonly<Record<string, Option>> = Object.fromEntries(
  flags.map(([name, { flag = '', help, otherwise, of }]): [string, Option] => [
    asFlag(name),
    { type: 'string', value: flag, help: `${help}; ${otherwise} by default (${shortly(of)})` },
  ]),
)

/** Reads these options, and refuses those that none of the methods takes. */
export function parseMethodSettings(values: Values, methods: readonly MethodName[]): MethodSettings {
  const given = {
    seed: wholeNumber(values, 'seed', 0),
    steps: wholeNumber(values, 'steps', 1),
    masks: wholeNumber(values, 'masks', 1),
    segments: wholeNumber(values, 'segments', 1),
    tokens: readSize(values, 'tokens'),
    skip: wholeNumber(values, 'skip', 0),
    blocks: single(values, 'blocks')?.split(','),
    baseline: readNumber(values, 'baseline'),
    maxSigma: readNumber(values, 'max-sigma'),
    fraction: readNumber(values, 'fraction'),
    maxDistance: readNumber(values, 'max-distance'),
    scoreLayer: single(values, 'score-layer'),
    composite: single(values, 'composite'),
    low: readNumbers(values, 'low'),
    high: readNumbers(values, 'high'),
    window: readLengths(values, 'window'),
    stride: readLengths(values, 'stride'),
    ...readNoise(values, methods),
    ...readLayerSettings(values),
  }
  try {
    return readMethodSettings(given, methods)
  } catch (error) {
    // The library's message begins with the name of the setting.
    throw error instanceof GradCamError
      ? usageError(error.message.replace(/^`(\w+)`/, (_, name: string) => `--${asFlag(name)}`))
      : error
  }
}

/** What says which of the values that a layer returns is explained. */
export function readLayerSettings(values: Values): Pick<MethodSettings, 'part' | 'call'> {
  const part = readPath(values, 'part')
  const call = wholeNumber(values, 'call', 0)
  return { ...(part !== null && { part }), ...(call !== undefined && { call }) }
}

/** The options of {@link readLayerSettings}, for commands that do not take those of all methods. */
export const layerFlags: Readonly<Record<string, Option>> = {
  part: { type: 'string', value: 'NAME|N', help: methodOptions.part.help },
  call: { type: 'string', value: 'N', help: `${methodOptions.call.help}; the last by default` },
}

/** --samples and --sigma are of --smooth, or of methods that have noise of their own. */
function readNoise(
  values: Values,
  methods: readonly MethodName[],
): Pick<MethodSettings, 'smooth' | 'samples' | 'sigma'> {
  const samples = wholeNumber(values, 'samples', 1)
  const text = single(values, 'sigma')
  const sigma = text === undefined || text.trim() === '' ? undefined : Number(text)
  if (text !== undefined && !(sigma !== undefined && sigma >= 0 && sigma < Infinity))
    throw usageError(`--sigma requires a number of at least 0, not "${text}".`)
  const given = { ...(samples !== undefined && { samples }), ...(sigma !== undefined && { sigma }) }
  if (values['smooth'] === undefined) {
    const smoothed: readonly MethodName[] = methodOptions.smooth.of
    if (Object.keys(given).length > 0 && methods.every((method) => smoothed.includes(method)))
      throw usageError('--samples and --sigma go with --smooth: add --smooth mean.')
    return given
  }
  const seed = wholeNumber(values, 'seed', 0)
  return {
    smooth: {
      kind: choice(values, 'smooth', ['mean', 'squared', 'variance'] as const),
      ...given,
      ...(seed !== undefined && { seed }),
    },
  }
}

/** A number as the value of an option; its limits are checked with all other settings. */
function readNumber(values: Values, name: string): number | undefined {
  const text = single(values, name)
  if (text === undefined) return undefined
  const value = text.trim() === '' ? NaN : Number(text)
  if (!Number.isFinite(value)) throw usageError(`--${name} requires a number, not "${text}".`)
  return value
}

/** A number, or several with commas between them. */
function readNumbers(values: Values, name: string): number | readonly number[] | undefined {
  const text = single(values, name)
  if (text === undefined) return undefined
  const numbers = text.split(',').map((part) => (part.trim() === '' ? NaN : Number(part)))
  if (!numbers.every((number) => Number.isFinite(number)))
    throw usageError(`--${name} requires a number, or several with commas between them, not "${text}".`)
  return numbers.length === 1 ? numbers[0] : numbers
}

function readSize(values: Values, name: string): readonly [number, number] | undefined {
  const text = single(values, name)
  return text === undefined ? undefined : parseSize(text, name)
}

/** A number for every dimension, or one for each: HxW, DxHxW or L. */
function readLengths(values: Values, name: string): number | readonly number[] | undefined {
  const text = single(values, name)
  return text === undefined ? undefined : parseLengths(text, name)
}
