import { checkBound, readComposite } from '../attribution/composites.js'
import { checkSmoothing, type Smoothing } from '../attribution/smoothing.js'
import { expect, invalid, toList } from '../base/check.js'
import { toNativeReshape, type Reshape } from '../cam/reshape.js'
import { checkPrecision, checkPrecisionError } from '../explain/execution.js'
import { GradCamError } from '../base/errors.js'
import { nearestName } from '../base/nearest.js'
import { readOtherInputs } from './other-inputs.js'
import { toPath } from '../target/path.js'
import { methodOptions, type MethodSettings } from './options.js'
import { checkMethodNames, methodNames, methods, type MethodName } from './table.js'

type SettingName = keyof MethodSettings

/** One setting: which methods take it, and the check of its value. */
interface Setting {
  readonly of: readonly MethodName[]
  readonly check: (name: string, value: unknown) => unknown
}

const cams = methodNames.filter((name) => methods[name].by === 'Cam')

/** Of gradients at the input it is a part of `smooth`. */
function withoutSmooth(names: readonly MethodName[]): readonly MethodName[] {
  return names.filter((name) => !methodOptions.smooth.of.some((one) => one === name))
}

const settings: Readonly<Record<SettingName, Setting>> = {
  execution: { of: cams, check: (name, value) => expect.oneOf(name, value, ['auto', 'split', 'hooked']) },
  precision: { of: cams, check: checkPrecision },
  precisionError: { of: cams, check: checkPrecisionError },
  eigenSmooth: { of: methodOptions.eigenSmooth.of, check: (name, value) => expect.boolean(name, value) },
  reshape: { of: methodOptions.reshape.of, check: checkReshape },
  part: { of: methodOptions.part.of, check: (name, value) => toPath(value, name, 'ERR_INVALID_ARGUMENT') },
  call: { of: methodOptions.call.of, check: (name, value) => expect.integer(name, value, { min: 0 }) },
  chunkSize: { of: methodOptions.chunkSize.of, check: expect.count },
  seed: { of: methodOptions.seed.of, check: expect.seed },
  steps: { of: methodOptions.steps.of, check: expect.count },
  samples: { of: withoutSmooth(methodOptions.samples.of), check: expect.count },
  sigma: {
    of: withoutSmooth(methodOptions.sigma.of),
    check: (name, value) => expect.number(name, value, { min: 0 }),
  },
  smooth: { of: methodOptions.smooth.of, check: checkSmooth },
  window: { of: methodOptions.window.of, check: checkLengths },
  stride: { of: methodOptions.stride.of, check: checkLengths },
  masks: { of: methodOptions.masks.of, check: expect.count },
  tokens: { of: methodOptions.tokens.of, check: (name, value) => expect.size(name, value) },
  skip: { of: methodOptions.skip.of, check: (name, value) => expect.integer(name, value, { min: 0 }) },
  blocks: { of: methodOptions.blocks.of, check: (name, value) => expect.strings(name, value, "['blocks.0']") },
  segments: { of: methodOptions.segments.of, check: expect.count },
  baseline: { of: methodOptions.baseline.of, check: (name, value) => expect.number(name, value) },
  maxSigma: { of: methodOptions.maxSigma.of, check: (name, value) => expect.number(name, value, { min: 0 }) },
  fraction: { of: methodOptions.fraction.of, check: (name, value) => expect.number(name, value, { min: 0, max: 1 }) },
  maxDistance: {
    of: methodOptions.maxDistance.of,
    check: (name, value) => expect.number(name, value, { min: 0, max: 1 }),
  },
  scoreLayer: { of: methodOptions.scoreLayer.of, check: (name, value) => expect.string(name, value) },
  composite: { of: methodOptions.composite.of, check: (name, value) => readComposite(value, name) },
  low: { of: methodOptions.low.of, check: checkBound },
  high: { of: methodOptions.high.of, check: checkBound },
  inputs: { of: methodNames, check: (_name, value) => readOtherInputs(value) },
}

/**
 * Reads the settings of methods from plain data, e.g. from the JSON of a request, for {@link makeMapExplainers}.
 *
 * @param given values by the names in {@link MethodSettings}; undefined counts as not given
 * @param names the methods that are to be used
 * @throws GradCamError ERR_INVALID_ARGUMENT for an unknown name, for an invalid value, and for a setting that none of
 *   these methods takes; `details.argument` is the name
 */
export function readMethodSettings(
  given: Readonly<Record<string, unknown>>,
  names: readonly MethodName[],
): MethodSettings {
  checkMethodNames(names)
  const entries = Object.entries(expect.options(given, 'given')).filter(([, value]) => value !== undefined)
  for (const [name, value] of entries) {
    if (!isSettingName(name)) throw unknown(name, Object.keys(settings), 'a setting')
    const { of, check } = settings[name]
    if (!of.some((method) => names.includes(method)))
      throw new GradCamError(
        'ERR_INVALID_ARGUMENT',
        `\`${name}\` goes with ${of.join(', ')}, not with ${names.join(', ')}.`,
        {
          remedy: 'Leave it out.',
          details: { argument: name, methods: of },
        },
      )
    check(name, value)
  }
  return Object.fromEntries(entries) as MethodSettings
}

/** Those of the settings that one of these methods takes. */
export function settingsOf(given: MethodSettings, names: readonly MethodName[]): MethodSettings {
  const entries = Object.entries(given).filter(([name]) =>
    settings[name as SettingName].of.some((method) => names.includes(method)),
  )
  return Object.fromEntries(entries) as MethodSettings
}

function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(settings, name)
}

function checkReshape(name: string, value: unknown): void {
  try {
    toNativeReshape(value as Reshape)
  } catch {
    throw invalid(
      name,
      "'vit', 'swin', { tokens: 'input' | [rows, columns], skip }, { permute: [...] } with each dimension once, or a function",
      value,
    )
  }
}

/** How many dimensions the images have is not known before there is one: see `requireLengths`. */
function checkLengths(name: string, value: unknown): void {
  const lengths = toList(value) ?? [value]
  const isLength = (length: unknown): boolean => Number.isSafeInteger(length) && (length as number) > 0
  if (lengths.length === 0 || lengths.length > 3 || !lengths.every(isLength))
    throw invalid(
      name,
      'a whole number from 1 on, or one for each spatial dimension: [height, width], [depth, height, width] or [length]',
      value,
    )
}

/** A misspelt name is refused: it comes from a request or a file, which no compiler has checked. */
function checkSmooth(name: string, value: unknown): void {
  const known = ['kind', 'samples', 'sigma', 'seed']
  for (const key of Object.keys(expect.options(value as Smoothing, name)))
    if (!known.includes(key))
      throw unknown(
        `${name}.${key}`,
        known.map((one) => `${name}.${one}`),
        `a setting of ${name}`,
      )
  checkSmoothing(value as Smoothing)
}

function unknown(name: string, known: readonly string[], what: string): GradCamError {
  const near = nearestName(name, known)
  const all = known.map((one) => `\`${one}\``).join(', ')
  const remedy = near === null ? `There are ${all}.` : `Did you mean \`${near}\`?`
  return new GradCamError('ERR_INVALID_ARGUMENT', `\`${name}\` is not ${what}.`, {
    remedy,
    details: { argument: name },
  })
}
