import { GradCamError } from '../base/errors.js'

/**
 * The error for an input that the model does not run on: LibTorch's own error, with the shape of the input and what to
 * do about it. Any other error is returned as it is.
 */
export function refusedInput(cause: unknown, shape: readonly number[]): unknown {
  if (!(cause instanceof GradCamError) || (cause.code !== 'ERR_TORCH' && cause.code !== 'ERR_INVALID_ARGUMENT'))
    return cause
  const what = `The model does not run on one float32 input of [${shape.join(', ')}]`
  return new GradCamError(cause.code, `${cause.message.replace(/\.?$/, '.')} ${what}: try another input size.`, {
    cause,
  })
}
