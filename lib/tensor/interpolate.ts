import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { callOperator, callOperatorAsync } from './dispatch.js'
import { functions } from './operators.js'
import type { CallOptions } from '../addon/abort.js'
import { checkTensorShape, type Tensor } from './tensor.js'

/** How to resize; the meaning of each is that of torch.nn.functional.interpolate. */
export interface InterpolateOptions {
  /** 'bilinear' by default. */
  mode?: 'bilinear' | 'bicubic' | 'nearest'
  /** Whether the centres of the corner pixels are aligned, rather than their outer edges. False by default. */
  alignCorners?: boolean
  /** Widen the filter when downsampling, as Pillow and torchvision do. False by default. */
  antialias?: boolean
}

/** [height, width] in pixels. */
export type Size = readonly [height: number, width: number]

const modes = ['bilinear', 'bicubic', 'nearest'] as const

function call(tensor: Tensor, size: Size, options: InterpolateOptions) {
  const { mode = 'bilinear', alignCorners = false, antialias = false } = expect.options(options)
  checkTensorShape('tensor', tensor, '[N, C, H, W]', (shape) => shape.length === 4)
  const to = expect.size('size', size, { code: 'ERR_SHAPE' })
  expect.oneOf('mode', mode, modes)
  expect.boolean('alignCorners', alignCorners)
  expect.boolean('antialias', antialias)
  if (mode === 'nearest') return { op: functions.nearest, args: [tensor, to, null] }
  return { op: functions[antialias ? (`${mode}Antialias` as const) : mode], args: [tensor, to, alignCorners, null] }
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

/** {@link interpolate} on an executor thread, for tensors so large that the event loop would be blocked. */
export async function interpolateAsync(
  tensor: Tensor,
  size: Size,
  options: InterpolateOptions & CallOptions = {},
): Promise<Tensor> {
  const { op, args } = call(tensor, size, options)
  return await callOperatorAsync(op, args, options)
}

const linear = [functions.linear1d, functions.bilinear, functions.trilinear]
const nearest = [functions.nearest1d, functions.nearest, functions.nearest3d]

/**
 * @internal Resizes maps or masks with one to three spatial dimensions on an executor thread, linearly (align_corners false) or
 * to the nearest.
 *
 * @param tensor [N, C, spatial...]
 * @param size of the spatial dimensions
 */
export async function resizeSpatial(
  tensor: Tensor,
  size: readonly number[],
  mode: 'linear' | 'nearest',
  options: CallOptions = {},
): Promise<Tensor> {
  checkTensorShape('tensor', tensor, '[N, C, spatial...]', (shape) => shape.length === size.length + 2)
  const op = (mode === 'linear' ? linear : nearest)[size.length - 1]
  if (!op)
    throw new GradCamError('ERR_SHAPE', `Maps have one to three spatial dimensions, not ${size.length}.`, {
      details: { size },
    })
  return await callOperatorAsync(op, mode === 'linear' ? [tensor, size, false, null] : [tensor, size, null], options)
}
