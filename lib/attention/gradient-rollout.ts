import type { AttentionRule } from './chain.js'

/**
 * Rollout of what speaks for the target: max(mean over heads of A dA, 0) in place of the mean of A, then rows that add up to 1. As
 * vit-explain has it for one image; there a batch would be divided by the sums of other rows.
 */
export const gradientRollout: AttentionRule = ({ weights, gradient }, identity) => {
  const kept = weights.mul(gradient).mean(1).clamp(0, null).add(identity)
  return kept.div(kept.sum(-1, true))
}
