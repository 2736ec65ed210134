import { expect, invalid, isInstance, isRecord } from '../base/check.js'
import type { ImageSource, RemoteImage } from '../images/index.js'
import { checkTensorShape, Tensor } from '../tensor/tensor.js'
import { checkBatchTarget, targetOf, type BatchTarget } from './target.js'

/** An image or a tensor with a name and a target of its own. */
export interface BatchEntry {
  /** The name of the result; by default the path, or the number of the input. */
  readonly id?: string
  /** A path, a `file:` URL, the bytes of an image file, or how to fetch them. */
  readonly source?: ImageSource | RemoteImage
  /**
   * Instead of an image: one input of the model, [C, H, W] or [1, C, H, W], ready for it; [C, D, H, W] and [C, L] likewise for
   * models of volumes and signals.
   */
  readonly tensor?: Tensor
  /** Instead of the option `target`. */
  readonly target?: BatchTarget
}

/**
 * One input of {@link explainAll}. Bytes are copied when they are read. A tensor is shared when the input is taken: the
 * source may dispose it as soon as the next input is requested.
 */
export type BatchInput = ImageSource | Tensor | BatchEntry

/** An input as the stages pass it on. */
export interface Item {
  readonly index: number
  readonly id: string
  readonly source: ImageSource | RemoteImage | null
  readonly tensor: Tensor | null
  readonly target: BatchTarget
}

/** Reads one input. Throws ERR_INVALID_ARGUMENT, ERR_SHAPE or ERR_TARGET for an invalid one. */
export function readInput(
  input: BatchInput,
  index: number,
  { target, of }: { readonly target: BatchTarget; readonly of: readonly (string | number)[] | null },
): Item {
  const name = `source[${index}]`
  const { source, tensor, id, target: own = target } = toEntry(input, name)
  if ((source === undefined) === (tensor === undefined))
    throw invalid(name, 'an object with either `source` or `tensor`', input)
  if (id !== undefined) expect.string(`${name}.id`, id)
  if (tensor !== undefined) checkTensorShape(`${name}.tensor`, tensor, '[C, H, W] or [1, C, H, W]', isInput)
  checkBatchTarget(own)
  return {
    index,
    id: id ?? nameOf(source, index),
    source: source ?? null,
    tensor: tensor?.detach() ?? null,
    target: of === null ? own : targetOf(own, of),
  }
}

/** Whether it is one input depends on the model: see `prepare`. */
const isInput = (shape: readonly number[]): boolean => shape.length >= 2 && shape.length <= 5 && !shape.includes(0)

/** The name of an input that could not be read. */
export function idOf(input: unknown, index: number): string {
  try {
    const id = isRecord(input) ? input['id'] : undefined
    return typeof id === 'string' ? id : nameOf(input, index)
  } catch {
    return String(index) // reading it was what failed
  }
}

function toEntry(input: BatchInput, name: string): BatchEntry {
  const isSource = typeof input === 'string' || isInstance(input, URL) || isInstance(input, Uint8Array)
  if (isSource) return { source: input }
  if (input instanceof Tensor) return { tensor: input }
  if (isRecord(input)) return input
  throw invalid(name, 'a path, bytes, a Tensor or { source or tensor, id, target }', input)
}

/** A URL as text; an object that only says to be one is refused where it is read. */
function nameOf(source: unknown, index: number): string {
  if (typeof source === 'string') return source
  try {
    return isInstance(source, URL) ? String(source) : String(index)
  } catch {
    return String(index)
  }
}
