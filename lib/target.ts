import { GradCamError } from './errors.js'
import { Tensor } from './tensor.js'
import type { Value } from './values.js'

/**
 * What to explain: a class for all images, one class per image, the top class of each ('argmax', the default), or a
 * function that makes a scalar of the model's output. A model with one output per image has the class 0, and 'argmax'
 * explains its value.
 */
export type Target<Output extends Value = Tensor> = number | readonly number[] | 'argmax' | ((output: Output) => Tensor)

/** A target as the native side takes it: classes, or undefined for the top class. */
export function toClasses(target: Exclude<Target<never>, (output: never) => Tensor> | undefined): number[] | undefined {
  if (target === undefined || target === 'argmax') return undefined
  const classes = typeof target === 'number' ? [target] : target
  if (!Array.isArray(classes) || classes.length === 0 || !classes.every((index) => Number.isSafeInteger(index)))
    throw new GradCamError(
      'ERR_TARGET',
      `${JSON.stringify(target) ?? String(target)} is no target. ` +
        "Give a class index, an array with one per image, 'argmax', or a function that returns a scalar Tensor.",
    )
  return [...(classes as readonly number[])]
}

/** The score that a target function makes of the output. */
export function scoreOf<Output extends Value>(target: (output: Output) => Tensor, output: Output): Tensor {
  const score: unknown = target(output)
  if (score instanceof Tensor) return score
  if (score instanceof Promise) score.catch(() => {})
  throw new GradCamError('ERR_TARGET', 'A target function must return a scalar Tensor, synchronously.')
}
