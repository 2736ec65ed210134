import type { Tensor } from '../tensor/tensor.js'
import type { AttentionRule } from './chain.js'

/**
 * mean over heads of A, and the identity for the way around it: each position keeps half of itself. Abnar and Zuidema 2020,
 * "Quantifying Attention Flow in Transformers", arXiv:2005.00928, section 3, equation 1.
 */
export const rollout: AttentionRule = ({ weights }: { weights: Tensor }, identity) =>
  weights.mean(1).add(identity).mul(0.5)
