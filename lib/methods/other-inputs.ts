import { expect, invalid, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'

/** What a model of several inputs is given besides the images. */
export interface OtherInputs {
  /** Where the images go. */
  readonly at: number
  /** All inputs in order; what stands at `at` is replaced. */
  readonly values: readonly Value[]
}

/**
 * Reads all inputs of a model in order, with null where the images go.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT
 */
export function readOtherInputs(inputs: unknown): OtherInputs {
  if (inputs === undefined) return { at: 0, values: [null] }
  const values = toList(inputs) as readonly Value[] | null
  const at = values?.indexOf(null) ?? -1
  if (!values || at < 0)
    throw invalid('inputs', 'an array of all inputs in order, with null where the images go', inputs)
  return { at: expect.integer('inputs', at, { min: 0 }), values }
}

/**
 * Whether another input has as many rows as there are images. Which images come together is not the caller's choice, so that the
 * rows cannot be theirs; but models and methods would take them for that.
 */
export const hasRowsOf = ({ values }: OtherInputs, images: number): boolean =>
  images > 1 && values.some((value) => holdsRows(value, images))

/**
 * All inputs for a batch: tensors of one row go with every image of it.
 *
 * @throws GradCamError ERR_BATCH_SIZE for a tensor of as many rows as there are images: see {@link hasRowsOf}
 */
export function withImages(others: OtherInputs, images: Tensor): { inputs: Tensor | Value[] } & Disposable {
  const { at, values } = others
  if (values.length === 1) return { inputs: images, [Symbol.dispose]() {} }
  const [count = 1] = images.shape
  if (hasRowsOf(others, count))
    throw new GradCamError(
      'ERR_BATCH_SIZE',
      `Another input has ${count} rows, as many as this batch has images, but its rows are not those of the images.`,
      {
        remedy: 'Give one row, if it is to go with every image, or make batches of another number of images.',
        details: { images: count, rows: count },
      },
    )
  const made: Tensor[] = []
  const inputs = values.map((value, i) => {
    if (i === at) return images
    if (!(value instanceof Tensor) || value.shape.length === 0 || value.shape[0] !== 1 || count === 1) return value
    const rows = value.expand([count, ...value.shape.slice(1)])
    made.push(rows)
    return rows
  })
  return {
    inputs,
    [Symbol.dispose]() {
      for (const each of made) each.dispose()
    },
  }
}

/** Whether a tensor of so many rows is in a value, also within lists and records. */
function holdsRows(value: Value, rows: number): boolean {
  if (value instanceof Tensor) return value.shape[0] === rows
  if (typeof value !== 'object' || value === null) return false
  return Object.values(value as Readonly<Record<string, Value>>).some((inner) => holdsRows(inner, rows))
}

/**
 * Inputs that are given by their names, or positions, in the order of the model, with null where the images go: the first that is
 * not given.
 *
 * @param names of all inputs of the model
 * @param images where the images go, where that is known
 * @throws GradCamError ERR_INVALID_ARGUMENT
 */
export function placeInputs<Given>(
  names: readonly string[],
  given: readonly (readonly [name: string, value: Given])[],
  images?: number,
): (Given | null)[] {
  const refuse = (text: string): GradCamError => new GradCamError('ERR_INVALID_ARGUMENT', text)
  const placed = new Map<number, Given>()
  for (const [name, value] of given) {
    const at = /^\d{1,6}$/.test(name) ? Number(name) : names.indexOf(name)
    if (at < 0 || at >= names.length) throw refuse(`The model has no input '${name}'; it has ${names.join(', ')}.`)
    if (placed.has(at)) throw refuse(`The input '${names[at]}' is given twice.`)
    if (at === images) throw refuse(`The input '${names[at]}' is that of the images, and cannot be given.`)
    placed.set(at, value)
  }
  const free = images ?? names.findIndex((_, i) => !placed.has(i))
  if (free < 0) throw refuse(`All inputs of the model are given, ${names.join(', ')}: none is left for the images.`)
  const count = Math.max(free, ...placed.keys()) + 1
  return Array.from({ length: count }, (_, i) => placed.get(i) ?? null)
}
