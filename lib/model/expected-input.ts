import { expect } from '../base/check.js'
import type { DType } from '../tensor/dtype.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { checkModel, type Model } from './model.js'

/** What a model takes, as far as its file or its first convolution says it. */
export interface ExpectedInput {
  /** How many channels an image has; null where nothing says it. */
  readonly channels: number | null
  /** How many spatial dimensions an input has: 2 for images, 3 for volumes, 1 for signals; null where nothing says it. */
  readonly dimensions: number | null
  /**
   * The type of the input: what the file says, else 'int64' where rows of a table are looked up by it (an embedding), else that
   * of the first parameters; null where there are none.
   */
  readonly dtype: DType | null
  /** The names of all inputs of the model, in order. */
  readonly names: readonly string[]
}

/** @internal Whether an input is [N, H, W, C]: see native/core/model/input_layout.h. */
export const hasChannelsLast = (model: Model, input: number, shape: readonly number[]): boolean =>
  model.handle.hasChannelsLast(input, shape)

/**
 * @internal An input to try a model with: noise from 0 to 1, levels of pixels for bytes, and zeros for other whole numbers, which
 * may be rows of a table.
 */
export function noiseOf(shape: readonly number[], dtype: DType | null): Tensor {
  if (dtype === null || /float/.test(dtype)) return Tensor.rand(shape, dtype === null ? {} : { dtype })
  if (dtype !== 'uint8') return Tensor.zeros(shape, { dtype })
  return tidy(() => Tensor.rand(shape).mul(255).to({ dtype }))
}

/** @internal The same with the channels first. */
export const channelsFirst = (tensor: Tensor): Tensor => tensor.permute([0, 3, 1, 2])

/**
 * What a model takes: channels and spatial dimensions from the shape that an exported program (.pt2) fixes, or else from the
 * first convolution in its code that sees the input as it is.
 *
 * @param input which of the model's inputs, from 0
 * @throws GradCamError ERR_INVALID_ARGUMENT, ERR_DISPOSED
 */
export function expectedInput(model: Model, input = 0): ExpectedInput {
  expect.integer('input', input, { min: 0 })
  const { firstConvolutions, indexInputs, inputs: names } = checkModel(model).handle.facts()
  const firstConvolution = firstConvolutions[input]
  const contract = model.inputs?.[input]
  const sizes = contract?.dtype ? contract.shape : null
  const channels = sizes && sizes.length > 2 ? sizes[1] : undefined
  return {
    channels: typeof channels === 'number' ? channels : (firstConvolution?.channels ?? null),
    dimensions: sizes && sizes.length > 2 ? sizes.length - 2 : (firstConvolution?.dimensions ?? null),
    dtype: (contract?.dtype ?? (indexInputs[input] ? 'int64' : model.dtype)) as DType | null,
    names,
  }
}
