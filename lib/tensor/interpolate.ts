import { inspect } from 'node:util'
import { checkOptions, GradCamError } from '../base/errors.js'
import { callOperator, callOperatorAsync } from './dispatch.js'
import { functions } from './operators.js'
import type { CallOptions } from '../addon/abort.js'
import type { Tensor } from './tensor.js'

/** How to resize; the meaning of each is that of torch.nn.functional.interpolate. */
export interface InterpolateOptions {
  /** 'bilinear' by default. */
  mode?: 'bilinear' | 'bicubic' | 'nearest'
  /** Whether the centres of the corner pixels stay in place rather than their outer edges. False by default. */
  alignCorners?: boolean
  /** Widen the filter when making smaller, as Pillow and torchvision do. False by default. */
  antialias?: boolean
}

type Size = readonly [number, number]

function call(tensor: Tensor, size: Size, options: InterpolateOptions) {
  const { mode = 'bilinear', alignCorners = false, antialias = false } = checkOptions(options)
  if (tensor.shape.length !== 4)
    throw new GradCamError('ERR_SHAPE', `interpolate wants [N, C, H, W], but was given [${tensor.shape.join(', ')}].`)
  if (!Array.isArray(size) || size.length !== 2 || !size.every((n) => Number.isSafeInteger(n) && n > 0))
    throw new GradCamError('ERR_SHAPE', `${inspect(size)} is no size: give [height, width] in whole pixels.`)
  if (mode === 'nearest') return { op: functions.nearest, args: [tensor, size, null] }
  if (mode !== 'bilinear' && mode !== 'bicubic')
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `There is no mode '${String(mode)}'. Use bilinear, bicubic or nearest.`,
    )
  return { op: functions[antialias ? (`${mode}Antialias` as const) : mode], args: [tensor, size, alignCorners, null] }
}

/**
 * Resizes images or maps.
 *
 * @param tensor [N, C, h, w]
 * @param size [height, width]
 * @returns [N, C, height, width], of the same dtype
 * @throws GradCamError ERR_SHAPE, ERR_INVALID_ARGUMENT
 */
export function interpolate(tensor: Tensor, size: Size, options: InterpolateOptions = {}): Tensor {
  const { op, args } = call(tensor, size, options)
  return callOperator(op, ...args)
}

/** {@link interpolate} on an executor thread, for tensors so large that the event loop would feel it. */
export function interpolateAsync(
  tensor: Tensor,
  size: Size,
  options: InterpolateOptions & CallOptions = {},
): Promise<Tensor> {
  const { op, args } = call(tensor, size, options)
  return callOperatorAsync(op, args, options)
}
