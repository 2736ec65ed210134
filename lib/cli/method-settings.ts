import type { MethodName } from '../methods/table.js'
import { methodOptions, type MethodOption, type MethodOptionName, type MethodSettings } from '../methods/options.js'
import { choice, parseSize, single, usageError, wholeNumber } from './arguments.js'
import type { Option, Values } from './command.js'

const flags = Object.entries<MethodOption>(methodOptions).filter(([, { flag }]) => flag !== undefined) as [
  MethodOptionName,
  MethodOption,
][]

/** 'occlusion, feature-ablation', or the group of them where they are many. */
const shortly = (names: readonly MethodName[]): string =>
  names.length > 4 ? `${names.slice(0, 2).join(', ')} and ${names.length - 2} more` : names.join(', ')

/** What --help says of the options that only some methods take. */
export const methodFlags: Readonly<Record<string, Option>> = Object.fromEntries(
  flags.map(([name, { flag = '', help, otherwise, of }]): [string, Option] => [
    name,
    { type: 'string', value: flag, help: `${help}; ${otherwise} by default (${shortly(of)})` },
  ]),
)

/** Reads them, and refuses what none of the methods would take. */
export function readMethodSettings(values: Values, methods: readonly MethodName[]): MethodSettings {
  for (const [name, { of }] of flags)
    if (values[name] !== undefined && !of.some((method) => methods.includes(method)))
      throw usageError(`--${name} goes with ${of.join(', ')}, not with ${methods.join(', ')}. Leave it out.`)
  const smooth = readSmoothing(values)
  const given = {
    seed: wholeNumber(values, 'seed', 0),
    steps: wholeNumber(values, 'steps', 1),
    masks: wholeNumber(values, 'masks', 1),
    window: readSize(values, 'window'),
    stride: readSize(values, 'stride'),
    smooth,
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as MethodSettings
}

function readSmoothing(values: Values): MethodSettings['smooth'] {
  const samples = wholeNumber(values, 'samples', 1)
  const text = single(values, 'sigma')
  const sigma = text === undefined || text.trim() === '' ? undefined : Number(text)
  if (text !== undefined && !(sigma !== undefined && sigma >= 0 && sigma < Infinity))
    throw usageError(`--sigma wants a number from 0 on, not "${text}".`)
  if (values['smooth'] === undefined) {
    if (samples === undefined && sigma === undefined) return undefined
    throw usageError('--samples and --sigma go with --smooth: add --smooth mean.')
  }
  const seed = wholeNumber(values, 'seed', 0)
  return {
    kind: choice(values, 'smooth', ['mean', 'squared', 'variance'] as const),
    ...(samples !== undefined && { samples }),
    ...(sigma !== undefined && { sigma }),
    ...(seed !== undefined && { seed }),
  }
}

function readSize(values: Values, name: string): readonly [number, number] | undefined {
  const text = single(values, name)
  return text === undefined ? undefined : parseSize(text, name)
}
