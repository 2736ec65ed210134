import type { NativeTarget } from '../addon/native-pass.js'
import type { NestedNumbers } from '../tensor/elements.js'
import { either, isCallable, isRecord, show, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { toPath } from './path.js'
import { boxTargetKeys, toNativeBoxes, type BoxTarget } from './target-box.js'
import { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'

/** A class for all images, one class per image, or the top class of each. */
export type ClassChoice = number | readonly number[] | 'argmax'

/** Options of all targets that are objects. */
export interface TargetOptions {
  /** The path to the tensor through tuples and dicts, e.g. 'out', 0, or ['heads', 1]; by default the output is the tensor. */
  readonly of?: string | number | readonly (string | number)[]
  /** -1 explains what lowers the score. 1 by default. */
  readonly sign?: 1 | -1
  /**
   * Which dimension of that tensor counts the images: 1 for sequences [T, N, C] whose steps come first. 0 by default. The
   * others keep their order, and are what the kinds speak of. Not for boxes.
   */
  readonly imageDim?: number
}

/**
 * A target as plain data. y are the logits [N, C] (or [N] for a model with one output), t the class of an image, 'argmax'
 * where none is given.
 *
 * - `class`: y_t
 * - `probability`: softmax(y)_t
 * - `difference`: y_t - y_minus, the evidence for t rather than for `minus`
 * - `regression`: the output of that number, 0 by default
 * - `segmentation`: the sum of y_t over the pixels of `mask`, [H, W] for all images or [N, H, W], for outputs [N, C, H, W]
 * - `finer`: sum_c p_c (y_t - alpha y_c) / (sum_c p_c + 1e-9) with p = softmax(y), over the `nearest` classes c by
 *   |y_c - y_t| (3 by default), or the classes `against`; alpha is 1 by default. Finer-CAM, arXiv:2501.11309, as
 *   pytorch-grad-cam has it: its gradient goes through p, too.
 * - `element`: of an output of any shape [N, ...], a step for each dimension but that of the images: an index (from the end where it
 *   is negative), or the 'sum', 'mean' or 'max' (the greatest) of all; dimensions without a step are added up. `at: [5]` is
 *   the sum of class 5 over the pixels of [N, C, H, W], `at: [3, 5]` class 5 at step 3 of a sequence [N, T, C], and
 *   `at: [6, 'max']` the best anchor for the third class of a detector's raw output [N, 4 + C, A]. Its class is -1. A changed
 *   copy of an image has its own greatest
 * - `box`: of an object detector, IoU + score of the detection that overlaps `box` most, see {@link BoxTarget}
 */
export type TargetData = TargetOptions &
  (
    | { readonly kind: 'class'; readonly class?: ClassChoice }
    | { readonly kind: 'probability'; readonly class?: ClassChoice }
    | { readonly kind: 'difference'; readonly class?: ClassChoice; readonly minus: number | readonly number[] }
    | { readonly kind: 'regression'; readonly output?: number }
    | {
        readonly kind: 'segmentation'
        readonly class: number | readonly number[]
        readonly mask: Tensor | NestedNumbers
      }
    | {
        readonly kind: 'finer'
        readonly class?: ClassChoice
        readonly nearest?: number
        readonly against?: readonly number[]
        readonly alpha?: number
      }
    | { readonly kind: 'element'; readonly at: readonly ElementStep[] }
    | BoxTarget
  )

/** What is taken of one dimension of an output: see the kind `element` of {@link TargetData}. */
export type ElementStep = number | 'sum' | 'mean' | 'max'

/**
 * What to explain: a class for all images, one class per image, the top class of each ('argmax', the default), plain data
 * with more options, or a function that computes a scalar from the model's output. A model with one output per image has the
 * class 0, and 'argmax' explains its value.
 */
export type Target<Output extends Value = Tensor> = ClassChoice | TargetData | ((output: Output) => Tensor)

export type { BoxTarget } from './target-box.js'

type PlainTarget = Exclude<Target<never>, (output: never) => Tensor>

/** The keys that each kind takes besides `kind`, `of`, `sign` and `imageDim`. */
const keysOf: Record<TargetData['kind'], readonly string[]> = {
  class: ['class'],
  probability: ['class'],
  difference: ['class', 'minus'],
  regression: ['output'],
  segmentation: ['class', 'mask'],
  finer: ['class', 'nearest', 'against', 'alpha'],
  element: ['at'],
  box: boxTargetKeys,
}

/** @param expected a sentence that says what is expected */
function refuse(target: unknown, expected: string): never {
  const details = { argument: 'target', expected, value: show(target) }
  throw new GradCamError('ERR_TARGET', `${details.value} is not a valid target.`, { remedy: expected, details })
}

/** Classes, or undefined for the top class. */
function toClasses(choice: unknown, target: unknown = choice): number[] | undefined {
  if (choice === undefined || choice === 'argmax') return undefined
  const classes: readonly unknown[] = toList(choice) ?? [choice]
  if (classes.length === 0 || !classes.every((index) => Number.isSafeInteger(index)))
    refuse(
      target,
      "Give a class index, an array with one per image, 'argmax', an object with a kind, or a function that returns a " +
        'scalar Tensor.',
    )
  return classes as number[]
}

/** A mask as a tensor of our own. */
function toMask(mask: unknown, target: unknown): Tensor {
  if (mask instanceof Tensor) return mask.detach()
  if (!toList(mask))
    refuse(target, 'A segmentation target requires a `mask`: a Tensor or nested arrays, [H, W] or [N, H, W].')
  return Tensor.from(mask as NestedNumbers)
}

function toSteps(at: unknown, target: unknown): ElementStep[] {
  const isStep = (step: unknown): step is ElementStep =>
    Number.isSafeInteger(step) || step === 'sum' || step === 'mean' || step === 'max'
  const steps: readonly unknown[] | null = toList(at)
  if (!steps?.every(isStep))
    refuse(
      target,
      "Its `at` must be an array with an index, 'sum', 'mean' or 'max' for each dimension after the first.",
    )
  return steps as ElementStep[]
}

/** A target as the native side takes it; to be disposed when that has been called. */
export function toNativeTarget(target: PlainTarget | undefined): {
  target: number[] | NativeTarget | undefined
  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void
} {
  if (!isRecord(target)) return { target: toClasses(target), [Symbol.dispose]() {} }
  const data = target as TargetData
  if (!Object.hasOwn(keysOf, data.kind)) refuse(target, `Its \`kind\` must be ${either(Object.keys(keysOf))}.`)
  const given = target as unknown as Readonly<Record<string, unknown>>
  const known = ['kind', 'of', 'sign', ...(data.kind === 'box' ? [] : ['imageDim']), ...keysOf[data.kind]]
  const unknown = Object.keys(given).find((key) => !known.includes(key))
  if (unknown !== undefined)
    refuse(target, `The kind '${data.kind}' has no option '${unknown}'; it has ${known.join(', ')}.`)
  if (data.sign !== undefined && data.sign !== 1 && data.sign !== -1) refuse(target, 'Its `sign` must be 1 or -1.')
  if (data.imageDim !== undefined && !(Number.isSafeInteger(data.imageDim) && data.imageDim >= 0))
    refuse(target, 'Its `imageDim` must be the number of a dimension, from 0 on.')

  const native: NativeTarget = {
    classes: toClasses(given['class'], target),
    sign: data.sign,
    path: toPath(data.of),
    imageDim: data.imageDim,
  }
  const owned: Disposable[] = []
  switch (data.kind) {
    case 'class':
      break
    case 'probability':
      native.score = 'probability'
      break
    case 'difference':
      native.score = 'difference'
      native.against = toClasses(data.minus, target)
      if (!native.against) refuse(target, 'A difference requires the class to subtract: `minus`.')
      break
    case 'regression':
      native.classes = toClasses(data.output ?? 0, target)
      break
    case 'segmentation': {
      native.score = 'mask'
      if (!native.classes)
        refuse(target, 'A segmentation target requires a `class`: each pixel has a top class of its own.')
      const mask = toMask(data.mask, target)
      owned.push(mask)
      native.mask = mask.handle
      break
    }
    case 'element':
      Object.assign(native, { score: 'element', at: toSteps(data.at, target) })
      break
    case 'box': {
      const boxes = toNativeBoxes(data, (instead) => refuse(target, instead))
      owned.push(boxes)
      Object.assign(native, { score: 'box', ...boxes.target })
      break
    }
    case 'finer': {
      const { nearest = 3, alpha = 1 } = data
      if (!Number.isSafeInteger(nearest) || nearest < 1 || !Number.isFinite(alpha))
        refuse(target, 'Its `nearest` must be an integer from 1 on, and its `alpha` a number.')
      Object.assign(native, { score: 'finer', nearest, alpha, against: toClasses(data.against, target) })
    }
  }
  return {
    target: native,
    [Symbol.dispose]() {
      for (const each of owned) each[Symbol.dispose]()
    },
  }
}

/** The score that a target function computes from the output. */
export function scoreOf<Output extends Value>(target: (output: Output) => Tensor, output: Output): Tensor {
  if (!isCallable(target)) refuse(target, 'A class cannot be called: give a function that returns a scalar Tensor.')
  const score: unknown = target(output)
  if (score instanceof Tensor) return score
  if (score instanceof Promise) score.catch(() => {})
  throw new GradCamError('ERR_TARGET', 'A target function must return a scalar Tensor, synchronously.')
}
