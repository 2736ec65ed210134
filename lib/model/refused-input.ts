import { GradCamError } from '../base/errors.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { disposeValue, type Value } from '../tensor/values.js'
import { expectedInput, hasChannelsLast } from './expected-input.js'
import { findImagesAtOnce, isAboutSizes } from './learn-images-at-once.js'
import { toPositional, type Model } from './model.js'
import { runOnce } from './run-once.js'

/**
 * The error for inputs that the model does not run on: LibTorch's own error, with the shapes of the inputs, and what to do
 * about it where LibTorch's text or another run tells the cause. Any other error is returned as it is: channels, types and
 * devices that do not fit have codes of their own.
 *
 * @param at which of the inputs holds the images
 */
export async function refusedInput(
  cause: unknown,
  model: Model,
  inputs: Value | readonly Value[],
  at = 0,
): Promise<unknown> {
  if (!(cause instanceof GradCamError)) return cause
  const given = toPositional(model, inputs)
  const images = given[at]
  const shape = images instanceof Tensor ? images.shape : []
  const text = cause.message.replace(/\.?$/, '.')
  const refuse = (remedy?: string): GradCamError =>
    new GradCamError(cause.code, `${text} The model does not run on ${describe(model, given)}.`, { remedy, cause })
  const mayBeOrder = cause.code === 'ERR_TORCH' || cause.code === 'ERR_CHANNELS'
  if (
    mayBeOrder &&
    shape.length === 4 &&
    hasChannelsLast(model, at, [...shape.slice(0, 1), ...shape.slice(2), shape[1] ?? 1]) &&
    (await runsWithChannelsLast(model, given, at))
  )
    return refuse(
      'Its own code moves the channels of [N, H, W, C], and was given [N, C, H, W]: export it without that step, or give tensors [N, H, W, C].',
    )
  if (cause.code !== 'ERR_TORCH' && cause.code !== 'ERR_INVALID_ARGUMENT') return cause
  if (isMissing(cause, given))
    return refuse('Give every other input, too: the images go to the first that is not given by `input`.')
  if (!isAboutSizes(cause.message)) return refuse()
  const fixed = await findImagesAtOnce(model, given, cause)
  if (fixed)
    return new GradCamError(
      'ERR_BATCH_SIZE',
      `The model runs on ${fixed.images} images at a time, and not on one, and ${
        fixed.rows === 'random'
          ? 'two runs of it differ, so that it cannot be told whether an image depends on the others'
          : 'what it returns for an image depends on the others'
      }: ${text}`,
      {
        remedy:
          'Its code holds that number: export it with a batch of any size, by torch.jit.script, or by torch.export with a dynamic batch. ' +
          `Explainers take ${fixed.images} images at a time, too.`,
        details: { images: 1, batch: fixed.images },
        cause,
      },
    )
  return refuse(
    given.length > 1
      ? 'Sizes in the model do not fit one of these: give each the size that the model was exported or trained for.'
      : 'Sizes in the model do not fit this one: give the size that it was exported or trained for.',
  )
}

/** Whether the model runs on the same images as [N, H, W, C]. */
async function runsWithChannelsLast(model: Model, given: readonly Value[], at: number): Promise<boolean> {
  using turned = tidy(() => (given[at] as Tensor).permute([0, 2, 3, 1]).contiguous())
  const inputs = given.map((value, i) => (i === at ? turned : value))
  return await runOnce(model, inputs).then(
    (output) => {
      disposeValue(output)
      return true
    },
    () => false,
  )
}

/** "an input of [1, 3, 32, 48]"; of several inputs each with its name. */
function describe(model: Model, given: readonly Value[]): string {
  const shapeOf = (value: Value): string => (value instanceof Tensor ? `[${value.shape.join(', ')}]` : typeof value)
  if (given.length === 1) return `an input of ${shapeOf(given[0] as Value)}`
  const { names } = expectedInput(model)
  return `inputs of ${given.map((value, i) => `'${names[i] ?? i}' ${shapeOf(value)}`).join(', ')}`
}

/** Whether the model has inputs that were not given. */
const isMissing = ({ message }: GradCamError, given: readonly Value[]): boolean =>
  given.length > 0 && / is missing\.?$/.test(message)
