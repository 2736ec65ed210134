import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'

/** The attention matrices of a layer, [N, heads, T, T] float64, and the gradients of the score there. */
export interface LayerAttention {
  readonly weights: Tensor
  readonly gradient: Tensor
}

/** What a layer passes on from position to position, [N, T, T], with the identity [T, T] of what goes around it. */
export type AttentionRule = (layer: LayerAttention, identity: Tensor) => Tensor

/**
 * How much each token counts for those that the model answers by: `first`, the class token, or else the mean of all. The product of
 * the layers, last by last, of which a row is enough. For the caller to dispose.
 *
 * @param layers in the order in which they were computed
 * @returns [N, T] float64
 */
export function followBack(layers: readonly LayerAttention[], rule: AttentionRule, byClassToken: boolean): Tensor {
  const [images = 1, , tokens = 1] = layers[0]?.weights.shape ?? []
  return tidy(() => {
    const identity = Tensor.from(
      Float64Array.from({ length: tokens * tokens }, (_, i) => (i % (tokens + 1) === 0 ? 1 : 0)),
      [tokens, tokens],
      { device: layers[0]!.weights.device },
    )
    const begin = byClassToken ? identity.narrow(0, 0, 1) : identity.mean(0, true)
    let row = begin.unsqueeze(0).expand([images, 1, tokens])
    for (const layer of layers.toReversed()) {
      row = tidy(() => row.matmul(rule(wide(layer), identity)))
    }
    return row.select(1, 0).clone()
  })
}

const wide = ({ weights, gradient }: LayerAttention): LayerAttention => ({
  weights: weights.to({ dtype: 'float64' }),
  gradient: gradient.to({ dtype: 'float64' }),
})
