import { GradCamError } from '../base/errors.js'
import { checkTensorShape, Tensor } from '../tensor/tensor.js'
import { checkBoxes, pixelsOf } from './boxes.js'
import { on } from './executor.js'
import type { MetricBatch } from './metric.js'

const refuse = (message: string, remedy: string): GradCamError =>
  new GradCamError('ERR_INVALID_ARGUMENT', message, { remedy })

/** Where the objects of each image are, by the masks or the boxes of a batch: bool [N, 1, H, W], for the caller to dispose. */
export async function regionsOf({ boxes, masks, signal }: MetricBatch, input: Tensor): Promise<Tensor> {
  const [images = 0, , height = 0, width = 0] = input.shape
  if (boxes !== undefined && masks !== undefined)
    throw refuse('`boxes` and `masks` were given, which say the same.', 'Leave out one of them.')
  if (masks !== undefined) return await checkedMasks(masks, [images, height, width], input, signal)
  if (boxes === undefined)
    throw refuse('Where the objects are was not given.', 'Give `masks` [N, H, W] or the `boxes` of each image.')
  const inside = new Uint8Array(images * height * width)
  checkBoxes(boxes, images).forEach((of, image) => inside.set(pixelsOf(of, height, width), image * height * width))
  using flags = Tensor.from(inside, [images, 1, height, width], { device: input.device })
  return await on(signal).eq(flags, 1)
}

async function checkedMasks(
  masks: unknown,
  sizes: readonly number[],
  input: Tensor,
  signal: AbortSignal | undefined,
): Promise<Tensor> {
  const expected = `[N, H, W], here [${sizes.join(', ')}]`
  const given = checkTensorShape('masks', masks, expected, (shape) => shape.join() === sizes.join())
  using placed = await on(signal).to(given, input.device, given.dtype)
  using inside = await on(signal).eq(placed, 1)
  using outside = await on(signal).eq(placed, 0)
  using known = await on(signal).logicalOr(inside, outside)
  using all = await on(signal).all(known)
  if (all.item() !== 1)
    throw refuse('`masks` holds numbers other than 0 and 1.', 'Compare with what stands for the object: masks.eq(3).')
  using flat = await on(signal).flatten(inside, 1)
  using found = await on(signal).any(flat, 1)
  const empty = Array.from(found.toTypedArray(), Number).indexOf(0)
  if (empty >= 0) throw refuse(`\`masks[${empty}]\` has no pixel of an object.`, 'Leave out images that have none.')
  return await on(signal).unsqueeze(inside, 1)
}
