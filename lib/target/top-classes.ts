import { invalid } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import type { Value } from '../tensor/values.js'
import { toPath } from './path.js'

/**
 * The classes with the highest logits: `k` lists, best first, each with one class per image.
 *
 * @param of the way to the logits [N, C] through arrays and objects
 */
export function topClasses(
  output: Value,
  k: number,
  of: string | number | readonly (string | number)[] = [],
): number[][] {
  const value = outputPart(output, toPath(of) ?? [])
  if (!(value instanceof Tensor) || value.shape.length !== 2)
    throw new GradCamError(
      'ERR_TARGET',
      'The top classes are taken from logits [N, C], but the output, or what `of` leads to in it, is something else.',
      { remedy: 'Give the path to the logits as `of`.' },
    )
  const logits = value
  const [images = 0, classes = 0] = logits.shape
  if (!Number.isSafeInteger(k) || k < 1 || k > classes)
    throw invalid('k', `an integer from 1 to ${classes}, the number of classes`, k, { code: 'ERR_TARGET' })
  const indices = tidy(() => logits.detach().topk(k, 1)[1])
  const flat = Array.from(indices.toTypedArray() as ArrayLike<bigint>, Number)
  indices.dispose()
  return Array.from({ length: k }, (_, rank) =>
    Array.from({ length: images }, (_image, image) => flat[image * k + rank] as number),
  )
}

/** The part of an output at a path; undefined where there is none. */
export function outputPart(output: Value, path: readonly (string | number)[]): Value | undefined {
  return path.reduce<Value | undefined>(partOf, output)
}

/** By position, also of a named tuple, or by name. */
function partOf(value: Value | undefined, step: string | number): Value | undefined {
  if (value instanceof Tensor || typeof value !== 'object' || value === null) return undefined
  const parts = value as Readonly<Record<string, Value>>
  return parts[step] ?? (typeof step === 'number' ? Object.values(parts)[step] : undefined)
}
