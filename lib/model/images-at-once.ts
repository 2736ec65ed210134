import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import type { Value } from '../tensor/values.js'
import { toPositional, type Model } from './model.js'

/** `images`, or the nearest number that the model takes at a time: its file may fix it, or its code may hold it. */
export function imagesAtOnce({ handle }: Model, images: number): number {
  const { min, max } = handle.imagesAtOnce()
  return Math.min(Math.max(images, min), max)
}

/** The same for the shape of an input, whose first number counts the images. */
export function shapeAtOnce(model: Model, [images, ...rest]: readonly number[]): readonly number[] {
  return images === undefined ? [] : [imagesAtOnce(model, images), ...rest]
}

/** How many images inputs have: the first size of their first tensor; undefined where there is none. */
const imageCount = (values: readonly Value[]): number | undefined =>
  values.find((value): value is Tensor => value instanceof Tensor && value.shape.length > 0)?.shape[0]

/** Whether the model takes as many images at a time as there are. */
export function takesAtOnce(model: Model, inputs: Value | readonly Value[]): boolean {
  const images = imageCount(toPositional(model, inputs))
  return !images || imagesAtOnce(model, images) === images
}

/** All inputs of a model in order; copies that were made of them are disposed with it. */
export interface InputsAtOnce extends Disposable {
  readonly values: readonly Value[]
}

/**
 * Inputs with as many images as the model takes at a time: copies of the last image are added, or the last ones are left out.
 * For runs that only look at what layers return: explainers run in parts of that size, and so explain every image.
 */
export function inputsAtOnce(model: Model, inputs: Value | readonly Value[]): InputsAtOnce {
  const given = toPositional(model, inputs)
  const images = imageCount(given)
  const rows = images ? imagesAtOnce(model, images) : images
  const made: Tensor[] = []
  const values = !images || !rows || rows === images ? given : given.map((value) => withRows(value, images, rows, made))
  return {
    values,
    [Symbol.dispose]() {
      for (const tensor of made) tensor.dispose()
    },
  }
}

/** Inputs with the first of their images alone, or so many copies of it; null where they hold no image. */
export function inputsInCopies(given: readonly Value[], copies: number): InputsAtOnce | null {
  const images = imageCount(given)
  if (!images) return null
  const made: Tensor[] = []
  const first = given.map((value) => withRows(value, images, 1, made))
  const values = first.map((value) => withRows(value, 1, copies, made))
  return {
    values,
    [Symbol.dispose]() {
      for (const tensor of made) tensor.dispose()
    },
  }
}

/** A value whose tensors of one row for each image have another number of them. */
function withRows(value: Value, images: number, rows: number, made: Tensor[]): Value {
  if (value instanceof Tensor) {
    if (value.shape[0] !== images) return value
    const changed = tidy(() => {
      if (rows < images) return value.slice(0, 0, rows)
      const last = value.slice(0, images - 1, images)
      return Tensor.cat([value, ...Array.from({ length: rows - images }, () => last)])
    })
    made.push(changed)
    return changed
  }
  if (Array.isArray(value)) return (value as readonly Value[]).map((inner) => withRows(inner, images, rows, made))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, withRows(inner ?? null, images, rows, made)]),
  )
}
