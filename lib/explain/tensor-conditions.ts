import type { CallOptions } from '../addon/abort.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { functions, operators } from '../tensor/operators.js'
import type { Tensor } from '../tensor/tensor.js'
import { disposeValue, type Value } from '../tensor/values.js'
import { endingOf } from '../model/model-notes.js'
import type { Model } from '../model/model.js'
import { conditionOf, isRounding, type GradientUse, type MapCondition } from './condition.js'

export interface TensorEvidence {
  /** One per image, or one of the batch. */
  readonly scores: readonly number[]
  /** Whether the method uses their gradient, and how. */
  readonly gradient: boolean
  readonly from?: GradientUse
  /** Per image, where the method changes the input: whether no change gave another score. */
  readonly sameScores?: readonly boolean[]
}

/**
 * The condition of each image of an attribution or map.
 *
 * @param values [N, ...]
 */
export async function conditionsOfTensor(
  values: Tensor,
  model: Model,
  evidence: TensorEvidence,
  call: CallOptions,
): Promise<MapCondition[]> {
  const images = values.shape[0] ?? 0
  if (images === 0 || values.size === 0) return []
  using detached = values.detach()
  // A row of a table has features, and not spatial positions.
  const isSpatial = values.shape.length > 2
  const channels = isSpatial ? (values.shape[1] as number) : 1
  const positions = values.size / (images * channels)
  using rows = detached.reshape([images, channels, positions])
  // Of the largest and the least value of a channel one is NaN or infinite where any value is.
  using most = await callOperatorAsync(operators.amax, [rows, [2]], call)
  using least = await callOperatorAsync(operators.amin, [rows, [2]], call)
  using mostNear = await callOperatorAsync(functions.to, [most, 'cpu', 'float64'], call)
  using leastNear = await callOperatorAsync(functions.to, [least, 'cpu', 'float64'], call)
  const [highest, lowest] = [mostNear.toTypedArray(), leastNear.toTypedArray()] as [Float64Array, Float64Array]
  const { scores, gradient, from, sameScores } = evidence
  return Array.from({ length: images }, (_, i) => {
    let largest = 0
    let range = 0
    for (let at = i * channels; at < (i + 1) * channels; at++) {
      const [top, bottom] = [highest[at] as number, lowest[at] as number]
      largest = Math.max(largest, Math.abs(top), Math.abs(bottom))
      range = Math.max(range, top - bottom)
    }
    const zero = largest === 0
    return conditionOf({
      zero,
      nonFinite: !Number.isFinite(largest),
      constant: isSpatial && positions > 1 && !zero && isRounding(range, largest, values.dtype),
      sameScores: sameScores?.[i],
      score: scores.length === images ? scores[i] : undefined,
      ending: endingOf(model),
      gradient,
      scored: true,
      from,
      dtype: model.dtype,
    })
  })
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
