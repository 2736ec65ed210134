import { GradCamError } from '../base/errors.js'

/**
 * The error for an input that the model does not run on: LibTorch's own error, with the shape of the input and what to
 * do about it. Any other error is returned as it is.
 */
export function refusedInput(cause: unknown, shape: readonly number[]): unknown {
  if (!(cause instanceof GradCamError) || (cause.code !== 'ERR_TORCH' && cause.code !== 'ERR_INVALID_ARGUMENT'))
    return cause
  const what = `The model does not run on one float32 input of [${shape.join(', ')}].`
  const remedy = remedyOf(cause.message)
  return new GradCamError(cause.code, `${cause.message.replace(/\.?$/, '.')} ${what}`, { remedy, cause })
}

/** What the text of LibTorch tells of the cause; where it tells none, everything that may be. */
function remedyOf(message: string): string {
  const channels = /to have (\d+) channels, but got (\d+) channels/.exec(message)
  if (channels) return `It takes ${channels[1]} channels, not ${channels[2]}.`
  if (/dtype|type .* should be the same|expected .* scalar type|same dtype/i.test(message))
    return 'Its parameters have another type: export it in float32 (model.float()).'
  return 'Check the number of channels, the size and the type of the input that it takes: try another input size.'
}
