import type { CallOptions } from '../addon/abort.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { functions, operators } from '../tensor/operators.js'
import type { Tensor } from '../tensor/tensor.js'
import { disposeValue, type Value } from '../tensor/values.js'
import { endingOf } from '../model/model-notes.js'
import type { Model } from '../model/model.js'
import { conditionOf, type GradientUse, type MapCondition } from './condition.js'

/**
 * The condition of each image of an attribution or map.
 *
 * @param values [N, ...]
 * @param evidence the scores, one per image (or one of the batch), whether the method uses their gradient, and how
 */
export async function conditionsOfTensor(
  values: Tensor,
  model: Model,
  evidence: { readonly scores: readonly number[]; readonly gradient: boolean; readonly from?: GradientUse },
  call: CallOptions,
): Promise<MapCondition[]> {
  const images = values.shape[0] ?? 0
  if (images === 0 || values.size === 0) return []
  using detached = values.detach()
  using rows = detached.reshape([images, values.size / images])
  // Of the largest and the least value of an image one is NaN or infinite where any value is.
  using most = await callOperatorAsync(operators.amax, [rows, [1]], call)
  using least = await callOperatorAsync(operators.amin, [rows, [1]], call)
  using mostNear = await callOperatorAsync(functions.to, [most, 'cpu', 'float64'], call)
  using leastNear = await callOperatorAsync(functions.to, [least, 'cpu', 'float64'], call)
  const [highest, lowest] = [mostNear.toTypedArray(), leastNear.toTypedArray()] as [Float64Array, Float64Array]
  const { scores, gradient, from } = evidence
  return Array.from({ length: images }, (_, i) =>
    conditionOf({
      zero: highest[i] === 0 && lowest[i] === 0,
      nonFinite: !Number.isFinite(highest[i]) || !Number.isFinite(lowest[i]),
      score: scores.length === images ? scores[i] : undefined,
      ending: endingOf(model),
      gradient,
      scored: true,
      from,
      dtype: model.dtype,
    }),
  )
}

/** The same, where the explanation that owns the values and the output is made of it: both are disposed where it fails. */
export async function conditionsOrDispose(
  output: Value,
  ...given: Parameters<typeof conditionsOfTensor>
): Promise<MapCondition[]> {
  try {
    return await conditionsOfTensor(...given)
  } catch (error) {
    disposeValue(output)
    given[0].dispose()
    throw error
  }
}
