import { GradCamError } from '../base/errors.js'

/** LibTorch's own refusal of an input, with what to do about it; any other error as it is. */
export function refusedInput(cause: unknown, shape: readonly number[]): unknown {
  if (!(cause instanceof GradCamError) || (cause.code !== 'ERR_TORCH' && cause.code !== 'ERR_INVALID_ARGUMENT'))
    return cause
  const what = `The model does not run on one float32 input of [${shape.join(', ')}]`
  return new GradCamError(cause.code, `${cause.message.replace(/\.?$/, '.')} ${what}: try another --size.`, { cause })
}
