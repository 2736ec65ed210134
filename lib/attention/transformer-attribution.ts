import type { AttentionRule } from './chain.js'

/**
 * I + mean over heads of max(A dA, 0): R <- R + A' R, with R = I at first. Chefer, Gur and Wolf 2021, "Generic Attention-model
 * Explainability for Interpreting Bi-Modal and Encoder-Decoder Transformers", arXiv:2103.15679, equations 5 and 6.
 */
export const transformerAttribution: AttentionRule = ({ weights, gradient }, identity) =>
  weights.mul(gradient).clamp(0, null).mean(1).add(identity)
