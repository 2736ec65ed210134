import { existsSync } from 'node:fs'
import { GradCamError } from '../base/errors.js'
import { expectedInput, type ExpectedInput } from '../model/expected-input.js'
import type { Model } from '../model/model.js'
import { loadInputFile } from '../batch/input-file.js'
import { placeInputs as inOrder } from '../methods/other-inputs.js'
import { checkBatchTarget, targetOf, type BatchTarget } from '../batch/target.js'
import type { Preprocess } from '../preprocess/preprocess.js'
import { parseTarget } from '../target/labels.js'
import { disposeValue, type Value } from '../tensor/values.js'
import { several, single, usageError } from './arguments.js'
import type { Option, Values } from './command.js'

/** Options of every command that explains: which part of the output, and the model's other inputs. */
export const inputFlags = {
  of: {
    type: 'string',
    value: 'NAME|N',
    help: 'the part of the output that classes are of, by name or position, or a JSON array of them; by default `logits`, `out`, or the only one of shape [N, C]',
  },
  input: {
    type: 'string',
    multiple: true,
    value: 'NAME=FILE',
    help: 'another input of the model, by its name or position: an image, a .npy file, a number, true or false; may be repeated',
  },
} as const satisfies Record<string, Option>

/** The text of --target's help. */
export const targetHelp =
  'the class to explain, by number or label; argmax (the default) is the top one; or JSON for anything else, e.g. ' +
  `'{"kind":"element","at":[5]}' for class 5 over all pixels of a segmentation: see docs/guide.md`

/** A value of --target: a class, or JSON. */
export function readTarget(
  text: string,
  labels: readonly string[] | null,
  of: readonly (string | number)[] | null = null,
): BatchTarget {
  const target = text.trimStart().startsWith('{') ? parseTargetData(text) : parseClass(text, labels)
  return of === null ? target : targetOf(target, of)
}

function parseClass(text: string, labels: readonly string[] | null): BatchTarget {
  try {
    return parseTarget(text, labels)
  } catch (error) {
    if (!(error instanceof GradCamError)) throw error
    throw usageError(`--target: ${error.message}${labels ? '' : ' Give it with --labels.'}`)
  }
}

function parseTargetData(text: string): BatchTarget {
  try {
    const target = JSON.parse(text) as BatchTarget
    checkBatchTarget(target)
    return target
  } catch (error) {
    throw usageError(`--target: ${(error as Error).message.replace(/\.?$/, '.')}`)
  }
}

/** The value of --of, or of --part: the path to a part. */
export function readPath(values: Values, name: 'of' | 'part'): readonly (string | number)[] | null {
  const text = single(values, name)
  if (text === undefined) return null
  if (/^\d{1,6}$/.test(text)) return [Number(text)]
  if (!text.startsWith('[')) return [text]
  try {
    const path: unknown = JSON.parse(text)
    if (Array.isArray(path) && path.every((step) => typeof step === 'string' || Number.isSafeInteger(step)))
      return path as (string | number)[]
  } catch {
    // Refused below.
  }
  throw usageError(`--${name} requires a name, a position, or a JSON array of them, not "${text}".`)
}

/** One --input. */
export interface InputFlag {
  readonly name: string
  /** A path, or what stands for a number or a flag. */
  readonly value: string | number | boolean
}

/** The values of --input, whose files exist. */
export function readInputs(values: Values): InputFlag[] {
  return several(values, 'input').map((text) => {
    const [, name, value] = /^([^=]+)=(.+)$/s.exec(text) ?? []
    if (name === undefined || value === undefined)
      throw usageError(`--input requires NAME=FILE, where NAME is an argument of the model's forward, not "${text}".`)
    if (value === 'true' || value === 'false') return { name, value: value === 'true' }
    if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value) && !existsSync(value)) return { name, value: Number(value) }
    if (!existsSync(value))
      throw usageError(
        `--input ${name}: the file '${value}' does not exist. It takes an image, a .npy file, a number, true or false.`,
      )
    return { name, value }
  })
}

/**
 * All inputs in order as they were given, with null where the images go: the first that no flag names. Null where
 * there is no flag.
 */
export function placeInputs(model: Model, flags: readonly InputFlag[]): (string | number | boolean | null)[] | null {
  if (flags.length === 0) return null
  const { names } = expectedInput(model)
  const placed = placeByName(names, flags)
  const images = placed.indexOf(null)
  const missing = placed.findIndex((value, i) => value === null && i !== images)
  if (missing >= 0)
    throw usageError(`--input: '${names[missing]}' comes before another input, so it has to be given, too.`)
  return placed
}

function placeByName(names: readonly string[], flags: readonly InputFlag[]): (string | number | boolean | null)[] {
  try {
    return inOrder(
      names,
      flags.map(({ name, value }) => [name, value] as const),
    )
  } catch (error) {
    throw error instanceof GradCamError ? usageError(`--input: ${error.message}`) : error
  }
}

/** The model's inputs besides the images, loaded. */
export interface LoadedInputs extends Disposable {
  /** What the input of the images is expected to be. */
  readonly expected: ExpectedInput
  /** As explainers take them; undefined where the images are the only input. */
  readonly values: readonly Value[] | undefined
  /** Where the images go. */
  readonly at: number
  /** All inputs. */
  with(images: Value): Value | readonly Value[]
}

/** @param preprocessFor what is done to images, by what the input of the images is expected to be */
export async function loadInputs(
  model: Model,
  flags: readonly InputFlag[],
  preprocessFor: (expected: ExpectedInput) => Preprocess,
): Promise<LoadedInputs> {
  const placed = placeInputs(model, flags)
  const at = placed?.indexOf(null) ?? 0
  const expected = expectedInput(model, at)
  const values: Value[] = []
  for (const [input, one] of (placed ?? []).entries())
    values.push(
      typeof one === 'string' ? await loadInputFile(one, { model, input, preprocess: preprocessFor(expected) }) : one,
    )
  return {
    expected,
    values: placed ? values : undefined,
    at,
    with: (images) => (placed ? values.map((value, i) => (i === at ? images : value)) : images),
    [Symbol.dispose]: () => disposeValue(values),
  }
}

/** The shape for the trial of a model that is not loaded yet. */
export const trialShape = (sizes: readonly number[]): number[] =>
  sizes.length === 1 ? [1, 3, sizes[0]!, sizes[0]!] : sizes.length === 2 ? [1, 3, ...sizes] : [1, ...sizes]

/**
 * The shape of the model's input for a --size: height and width, with the channels that the model takes (3 where nothing
 * says it), or all sizes but that of the batch.
 */
export function inputShape(sizes: readonly number[], { channels, dimensions }: ExpectedInput): number[] {
  const spatial = dimensions ?? Math.max(2, sizes.length - 1)
  if (sizes.length === spatial + 1) return [1, ...sizes]
  if (sizes.length === spatial) return [1, channels ?? 3, ...sizes]
  if (sizes.length === 1 && spatial === 2) return [1, channels ?? 3, sizes[0]!, sizes[0]!]
  const names = spatial === 1 ? 'its length' : spatial === 3 ? 'depth, height and width' : 'height and width'
  throw usageError(
    `--size requires ${names} for this model, e.g. ${['', '16000', '224x224', '16x112x112'][spatial]}, with the channels before them where they are others than ${channels ?? 3}; not ${sizes.join('x')}.`,
  )
}
