import type { ProgramInput } from '../exported/inputs.js'
import { anySize } from '../exported/inputs.js'

/** What one dimension of an input may be: a number, or a range of which both ends are allowed. */
export type ModelInputSize = number | { readonly min: number; readonly max: number }

/** One input of a model, as far as its file says what it takes. */
export interface ModelInput {
  readonly name: string
  /** Null for a value that is not a tensor. */
  readonly dtype: string | null
  readonly shape: readonly ModelInputSize[]
}

export function toModelInput({ name, dtype, sizes }: ProgramInput): ModelInput {
  const shape = sizes.map(({ min, max }) => (min === max ? max : { min, max: max === anySize ? Infinity : max }))
  return { name, dtype, shape }
}

/** What the file says of an input in one line, e.g. "'x' (float32 [any, 3, 224, 224])". */
export function describeModelInput({ name, dtype, shape }: ModelInput): string {
  if (shape.length === 0) return `'${name}'`
  return `'${name}' (${dtype === null ? '' : `${dtype} `}[${shape.map(describeSize).join(', ')}])`
}

function describeSize(size: ModelInputSize): string {
  if (typeof size === 'number') return String(size)
  if (size.max !== Infinity) return `${size.min}..${size.max}`
  return size.min <= 1 ? 'any' : `${size.min}..`
}

/** The spatial sizes of the first image, volume or signal that a model takes, where its file fixes them; null where it does not. */
export const fixedSpatialSizes = (inputs: readonly ModelInput[] | null): readonly number[] | null =>
  fixedSizes(inputs, ({ length }) => length > 2 && length < 6)

/** [height, width] of the images that a model takes, where its file fixes them; null where it does not. */
export const fixedImageSize = (inputs: readonly ModelInput[] | null): readonly [number, number] | null =>
  fixedSizes(inputs, ({ length }) => length === 4) as readonly [number, number] | null

/** Those of the first input that has so many dimensions. */
function fixedSizes(
  inputs: readonly ModelInput[] | null,
  fits: (shape: ModelInput['shape']) => boolean,
): readonly number[] | null {
  const [, , ...sizes] = inputs?.find(({ shape }) => fits(shape))?.shape ?? []
  const fixed = sizes.filter((size) => typeof size === 'number')
  return sizes.length > 0 && fixed.length === sizes.length ? fixed : null
}
