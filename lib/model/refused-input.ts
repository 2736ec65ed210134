import { GradCamError } from '../base/errors.js'

/**
 * The error for an input that the model does not run on: LibTorch's own error, with the shape of the input, and what to do
 * about it where LibTorch's text tells the cause. Any other error is returned as it is: channels, types and devices that do
 * not fit have codes of their own.
 */
export function refusedInput(cause: unknown, shape: readonly number[]): unknown {
  if (!(cause instanceof GradCamError) || (cause.code !== 'ERR_TORCH' && cause.code !== 'ERR_INVALID_ARGUMENT'))
    return cause
  const what = `The model does not run on an input of [${shape.join(', ')}].`
  const remedy = aboutSizes.test(cause.message)
    ? 'Sizes in the model do not fit this one: give the size that it was exported or trained for.'
    : undefined
  return new GradCamError(cause.code, `${cause.message.replace(/\.?$/, '.')} ${what}`, { remedy, cause })
}

/** What LibTorch says where two sizes do not fit, or one is too small for an operator. */
const aboutSizes =
  /size of tensor a|sizes of tensors must match|shapes cannot be multiplied|is invalid for input of size|kernel size can't be greater|output size is too small|padding size should be less|expanded size of the tensor|doesn't match model|split_with_sizes expects|expected input.* to have .* elements/i
