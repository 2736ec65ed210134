import { cancellable } from '../addon/abort.js'
import type { ModelHandle } from '../addon/native-model.js'
import { GradCamError } from '../base/errors.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { disposeValue, type Value } from '../tensor/values.js'
import { inputsAtOnce, inputsInCopies } from './images-at-once.js'
import { forgetRows } from './model-notes.js'
import { toPositional, type Model } from './model.js'
import { runOnce } from './run-once.js'

/** How many images a model runs on that does not run on one. */
export interface FixedImages {
  readonly images: number
  /**
   * Whose each row of the output is: of its image alone ('own'), so that copies of an image may stand in for others; of the other
   * images, too ('mixed'); or not to be told, since two runs differ ('random').
   */
  readonly rows: 'own' | 'mixed' | 'random'
}

/**
 * Runs something, and runs it again where it failed because the model takes another number of images at a time: a TorchScript
 * file may hold the number that it was traced with, and says it nowhere. It is found by trying, once for each model and
 * shape, and the model is told it, so that from then on batches are filled up as for a file that fixes their size.
 */
export async function orAtOnce<Result>(
  model: Model,
  inputs: Value | readonly Value[],
  run: () => Promise<Result>,
): Promise<Result> {
  try {
    return await run()
  } catch (error) {
    if (!(await learnImagesAtOnce(model, inputs, error))) throw error
    return await run()
  }
}

/** Runs something on as many of the images as the model takes at a time, which is learned where it is not known: see {@link orAtOnce}. */
export async function runAtOnce<Result>(
  model: Model,
  inputs: Value | readonly Value[],
  run: (values: readonly Value[]) => Promise<Result>,
): Promise<Result> {
  return await orAtOnce(model, inputs, async () => {
    using all = inputsAtOnce(model, inputs)
    return await run(all.values)
  })
}

/**
 * Tells the model how many images it takes at a time, where it does not take one.
 *
 * @param error of a run on the inputs: where it cannot come of the number of images, nothing is tried
 */
export async function learnImagesAtOnce(
  model: Model,
  inputs: Value | readonly Value[],
  error?: unknown,
): Promise<boolean> {
  const found = await findImagesAtOnce(model, inputs, error)
  if (found?.rows !== 'own') return false
  const { handle } = model
  // A run that was started beside this one may have told it already, and fails for the same reason.
  if (handle.imagesAtOnce().max !== found.images) {
    await cancellable(undefined, (ticket) => handle.takeAtOnce(found.images, ticket))
    forgetRows(model)
  }
  return true
}

const searches = new WeakMap<ModelHandle, Map<string, Promise<FixedImages | null>>>()

/**
 * How many images the model runs on, where this error may come of another number of them; null where it runs on one image,
 * or on none of the numbers that are tried.
 */
export async function findImagesAtOnce(
  model: Model,
  inputs: Value | readonly Value[],
  error?: unknown,
): Promise<FixedImages | null> {
  if (error !== undefined && !(error instanceof GradCamError && mayBeCount(error))) return null
  const given = toPositional(model, inputs)
  const shapes = given.map((value) => (value instanceof Tensor ? value.shape.slice(1).join('x') : typeof value)).join()
  const { handle } = model
  const ofModel = searches.get(handle) ?? new Map<string, Promise<FixedImages | null>>()
  searches.set(handle, ofModel)
  const before = ofModel.get(shapes)
  if (before) return await before
  // The error that the run on one image gives names the sizes that do not fit; that of several images may be another one.
  const search = isFixedByFile(model) ? Promise.resolve(null) : tryCounts(model, given)
  ofModel.set(shapes, search)
  return await search
}

/** Whether the file says how many images the model takes, so that there is nothing to find. */
const isFixedByFile = ({ inputs }: Model): boolean => inputs?.some(({ shape }) => shape.length > 0) ?? false

/** Whether an error may come of the number of images: rows that do not fit them, or sizes that do not fit each other. */
function mayBeCount({ code, message, details }: GradCamError): boolean {
  if (typeof details?.['rows'] === 'number') return true
  return (code === 'ERR_TORCH' || code === 'ERR_INVALID_ARGUMENT' || code === 'ERR_BATCH_SIZE') && isAboutSizes(message)
}

/** Whether LibTorch says that two sizes do not fit, or that one is too small for an operator. */
export const isAboutSizes = (text: string): boolean =>
  /size of tensor a|sizes of tensors must match|shapes cannot be multiplied|is invalid for input of size|kernel size can't be greater|output size is too small|padding size should be less|expanded size of the tensor|doesn't match model|split_with_sizes expects|expected input.* to have .* elements|expected (hidden|size for first)/i.test(
    text,
  )

async function tryCounts(model: Model, given: readonly Value[]): Promise<FixedImages | null> {
  using one = inputsInCopies(given, 1)
  if (!one) return null
  let counts: readonly number[]
  let alone: string | null = null
  try {
    const output = await runOnce(model, one.values)
    alone = shapesOf(output)
    counts = [...new Set(tablesOf(output).map(({ shape }) => shape[0] ?? 1))].filter(
      (rows) => rows > 1 && rows <= mostCopies,
    )
    disposeValue(output)
  } catch (error) {
    if (!(error instanceof GradCamError) || !isAboutSizes(error.message)) return null
    counts = [...new Set([...countsIn(error.message), ...usualCounts])]
  }
  for (const images of counts) {
    const found = await tryCount(model, given, images, alone)
    if (found) return found
  }
  return null
}

/** Counts of images that files are traced with, the most usual ones first. */
const usualCounts = [2, 4, 8, 16, 3, 32]

/** The most copies that are tried of an image: a size in an error, or the rows of a detector, may be anything. */
const mostCopies = 64

/** The counts that sizes in an error suggest: the sizes, and what divides the first one of a shape. */
function countsIn(text: string): number[] {
  const sizes = Array.from(text.matchAll(/\d+/g), ([digits]) => Number(digits))
  const firsts = Array.from(text.matchAll(/\[(\d+)/g), ([, digits]) => Number(digits))
  const parts = Array.from({ length: mostCopies - 1 }, (_, i) => i + 2).filter((count) =>
    firsts.some((size) => size > count && size <= 16 * mostCopies && size % count === 0),
  )
  return [...sizes.filter((size) => size > 1 && size <= mostCopies), ...parts.slice(0, mostParts)]
}

const mostParts = 4

/**
 * What is known of the model after runs on so many copies of the first image, and on the same with another image last.
 *
 * @param alone the shapes that it returned for one image, where it runs on one: a number that is held by the code gives the
 *   same ones for any number of images
 */
async function tryCount(
  model: Model,
  given: readonly Value[],
  images: number,
  alone: string | null,
): Promise<FixedImages | null> {
  using copies = inputsInCopies(given, images)
  if (!copies) return null
  const outputs: Value[] = []
  const run = async (inputs: readonly Value[]): Promise<Value> => {
    const output = await runOnce(model, inputs)
    outputs.push(output)
    return output
  }
  try {
    const same = await run(copies.values)
    if (rowTables(same, images).length === 0 || (alone !== null && shapesOf(same) !== alone)) return null
    using changed = withOtherLast(copies.values, images)
    if (isRowByRow(same, await run(changed.values), images)) return { images, rows: 'own' }
    return { images, rows: isSameOutput(same, await run(copies.values), images) ? 'mixed' : 'random' }
  } catch (error) {
    if (error instanceof GradCamError) return null
    throw error
  } finally {
    disposeValue(outputs)
  }
}

/** Another image in place of the last one: mirrored, with other statistics. Of whole numbers one that may be a row of a table, too. */
function withOtherLast(values: readonly Value[], images: number): { values: readonly Value[] } & Disposable {
  const at = values.findIndex((value) => value instanceof Tensor && value.shape[0] === images)
  const given = values[at] as Tensor
  const other = tidy(() => {
    const last = given.slice(0, images - 1, images)
    return Tensor.cat([given.slice(0, 0, images - 1), otherImage(last)])
  })
  return {
    values: values.map((value, i) => (i === at ? other : value)),
    [Symbol.dispose]: () => other.dispose(),
  }
}

function otherImage(image: Tensor): Tensor {
  const mirrored = image.flip([image.shape.length - 1])
  if (/float/.test(image.dtype)) return mirrored.mul(-0.5).add(0.3)
  const changes = mirrored.ne(image).any().item() === 1
  return changes ? mirrored : image.eq(0).to({ dtype: image.dtype })
}

/** The tensors of real numbers in an output. */
function tablesOf(output: Value): Tensor[] {
  if (output instanceof Tensor) return output.shape.length > 0 && /float/.test(output.dtype) ? [output] : []
  if (typeof output !== 'object' || output === null) return []
  return Object.values(output as Readonly<Record<string, Value>>).flatMap(tablesOf)
}

const rowTables = (output: Value, rows: number): Tensor[] => tablesOf(output).filter(({ shape }) => shape[0] === rows)

const shapesOf = (output: Value): string =>
  tablesOf(output)
    .map(({ shape }) => shape.join('x'))
    .join()

/** Beside the largest value: by kernels for other rows a row may differ by its rounding. */
const tolerance = 1e-3

/** Whether copies of one image have one row each, and another image in the last of them changes the last row alone. */
function isRowByRow(same: Value, changed: Value, images: number): boolean {
  let depends = false
  const pairs = rowTables(same, images).map((table, i) => [table, rowTables(changed, images)[i]] as const)
  for (const [table, other] of pairs) {
    if (!other) return false
    const [before, after] = [rowValues(table, images), rowValues(other, images)]
    const [first] = before as [Float64Array]
    if (!before.every((row) => isNear(row, first))) return false
    if (!after.slice(0, -1).every((row) => isNear(row, first))) return false
    depends ||= !isNear(after.at(-1) as Float64Array, first)
  }
  return depends
}

/** Whether two runs of the same images gave the same. */
function isSameOutput(some: Value, other: Value, images: number): boolean {
  const others = rowTables(other, images)
  return rowTables(some, images).every((table, i) => {
    const [before, after] = [rowValues(table, images), rowValues(others[i] as Tensor, images)]
    return before.every((row, k) => isNear(after[k] as Float64Array, row))
  })
}

function rowValues(table: Tensor, images: number): Float64Array[] {
  using near = table.to({ device: 'cpu', dtype: 'float64' })
  const all = near.toTypedArray() as Float64Array
  const each = all.length / images
  return Array.from({ length: images }, (_, i) => all.subarray(i * each, (i + 1) * each))
}

function isNear(row: Float64Array, expected: Float64Array): boolean {
  const peak = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  return expected.every((value, i) => Math.abs((row[i] ?? NaN) - value) <= tolerance * peak)
}
