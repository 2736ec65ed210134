import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import type { LayerAttention } from './chain.js'

/**
 * LeGrad: the mean over blocks, heads and attending tokens of max(dA, 0), where dA is the gradient at a block's attention of the score
 * that the model has where its last block returns what this one does. Bousselham et al. 2024, "LeGrad: An Explainability Method for
 * Vision Transformers via Feature Formation Sensitivity", arXiv:2404.03214, equations 8 and 9.
 *
 * @returns [N, T] float64, for the caller to dispose
 */
export function leGrad(blocks: readonly LayerAttention[]): Tensor {
  return tidy(() => {
    const each = blocks.map(({ gradient }) => gradient.to({ dtype: 'float64' }).clamp(0, null).mean([1, 2]))
    return Tensor.stack(each).mean(0).clone()
  })
}
