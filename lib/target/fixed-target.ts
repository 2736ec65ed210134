import type { Target, TargetData } from './target.js'
import { boxesOfCopies } from './target-box.js'
import { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'

/**
 * The target for `copies` of a batch one after the other, with the classes that were chosen for the batch itself: a noisy or
 * a faded copy is explained for the class of its image.
 *
 * @param classes that the batch's own pass explained, one per image; none where the target is a function
 */
export function fixedTarget<Output extends Value>(
  target: Target<Output> | undefined,
  classes: readonly number[],
  copies: number,
): Target<Output> {
  if (typeof target === 'function') return target
  const repeat = (list: readonly number[]) => Array.from({ length: copies }, () => list).flat()
  const fixed = repeat(classes)
  if (typeof target !== 'object' || Array.isArray(target)) return fixed
  const data = target as TargetData
  if (data.kind === 'regression' || data.kind === 'element') return data
  if (data.kind === 'box') {
    const images = Array.from({ length: copies }, () => classes.map((_, image) => image)).flat()
    return { ...data, ...boxesOfCopies(data, fixed, images) }
  }
  if (data.kind === 'difference' && typeof data.minus === 'object' && data.minus.length > 1)
    return { ...data, class: fixed, minus: repeat(data.minus) }
  return { ...data, class: fixed }
}

/** Whether a target has a part per image that cannot be repeated for a copy, so that copies run one by one. */
export function isOfOneBatch<Output extends Value>(target: Target<Output> | undefined): boolean {
  if (typeof target === 'function') return true
  if (typeof target !== 'object' || Array.isArray(target) || (target as TargetData).kind !== 'segmentation')
    return false
  const { mask } = target as TargetData & { kind: 'segmentation' }
  return mask instanceof Tensor ? mask.shape.length === 3 : Array.isArray((mask as readonly unknown[][])[0]?.[0])
}
