import { inspect } from 'node:util'
import { GradCamError } from '../base/errors.js'
import type { ImageSource } from '../images/index.js'
import { Tensor } from '../tensor/tensor.js'
import { checkBatchTarget, type BatchTarget } from './target.js'

/** An image or a tensor with a name and a target of its own. */
export interface BatchEntry {
  /** The name of the result; by default the path, or the number of the input. */
  readonly id?: string
  /** A path, a `file:` URL or the bytes of an image file. */
  readonly source?: ImageSource
  /** Instead of an image: one input of the model, [C, H, W] or [1, C, H, W], ready for it. */
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
  readonly source: ImageSource | null
  readonly tensor: Tensor | null
  readonly target: BatchTarget
}

/** Reads one input. Throws ERR_INVALID_ARGUMENT, ERR_SHAPE or ERR_TARGET for an invalid one. */
export function readInput(input: BatchInput, index: number, target: BatchTarget): Item {
  const entry = toEntry(input, index)
  const { source, tensor } = entry
  if ((source === undefined) === (tensor === undefined))
    throw new GradCamError('ERR_INVALID_ARGUMENT', `Input ${index} requires either 'source' or 'tensor'.`)
  if (tensor !== undefined) checkTensor(tensor, index)
  const own = entry.target ?? target
  checkBatchTarget(own)
  return {
    index,
    id: entry.id ?? nameOf(source, index),
    source: source ?? null,
    tensor: tensor?.detach() ?? null,
    target: own,
  }
}

/** The name of an input that could not be read. */
export function idOf(input: unknown, index: number): string {
  if (typeof input === 'string' || input instanceof URL) return nameOf(input, index)
  const id: unknown = typeof input === 'object' && input !== null ? (input as BatchEntry).id : undefined
  return typeof id === 'string' ? id : String(index)
}

function toEntry(input: BatchInput, index: number): BatchEntry {
  if (typeof input === 'string' || input instanceof URL || input instanceof Uint8Array) return { source: input }
  if (input instanceof Tensor) return { tensor: input }
  if (typeof input === 'object' && input !== null) return input
  throw new GradCamError(
    'ERR_INVALID_ARGUMENT',
    `Input ${index} is ${inspect(input)}: give a path, bytes, a Tensor, or { source or tensor, id, target }.`,
  )
}

function nameOf(source: unknown, index: number): string {
  return typeof source === 'string' || source instanceof URL ? String(source) : String(index)
}

function checkTensor(tensor: unknown, index: number): void {
  if (!(tensor instanceof Tensor))
    throw new GradCamError('ERR_INVALID_ARGUMENT', `The tensor of input ${index} is ${inspect(tensor)}: give a Tensor.`)
  const { shape } = tensor
  if (!(shape.length === 3 || (shape.length === 4 && shape[0] === 1)) || tensor.size === 0)
    throw new GradCamError(
      'ERR_SHAPE',
      `Input ${index} is a tensor of [${shape.join(', ')}]: give one image, [C, H, W] or [1, C, H, W].`,
    )
}
