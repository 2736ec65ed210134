import type { Ending } from '../model/model-notes.js'

/** Whether a map says something, and if not, why. */
export interface MapCondition {
  /**
   * - ok: it says something.
   * - zero: it is zero everywhere.
   * - saturated: the model's softmax or sigmoid gives 1 within rounding, where its gradient vanishes.
   * - not-finite: it holds NaN or an infinity.
   */
  readonly state: 'ok' | 'zero' | 'saturated' | 'not-finite'
  /** A sentence; null where it is ok. */
  readonly reason: string | null
}

/** What a condition is decided by. */
export interface MapEvidence {
  readonly zero: boolean
  readonly nonFinite: boolean
  /** The score that was explained; undefined where there is one for the whole batch. */
  readonly score: number | undefined
  readonly ending: Ending
  /** Whether the method uses the gradient of the score. */
  readonly gradient: boolean
  /** Of what the layer returned, where the map is of a layer. */
  readonly zeroActivation?: boolean | undefined
  readonly zeroGradient?: boolean | undefined
  readonly nonFiniteActivation?: boolean | undefined
  readonly layer?: string | null
  readonly dtype?: string | null
}

const ok: MapCondition = { state: 'ok', reason: null }

/** A probability nearer to 1 than this has lost most digits of 1 - p, and with them its gradient, in float32. */
const saturation = 1e-6

export function conditionOf(evidence: MapEvidence): MapCondition {
  if (evidence.nonFinite) return { state: 'not-finite', reason: whyNotFinite(evidence) }
  if (isSaturated(evidence)) {
    const { ending, score = 0 } = evidence
    const reason =
      `The model ends in ${ending}, which is saturated: it gives ${Number(score.toPrecision(9))}, where its gradient vanishes. ` +
      `Export the model without its last ${ending}, and explain the logits.`
    return { state: 'saturated', reason }
  }
  return evidence.zero ? { state: 'zero', reason: whyZero(evidence) } : ok
}

function isSaturated({ ending, gradient, score, zero, zeroGradient }: MapEvidence): boolean {
  if (!gradient || score === undefined || (ending !== 'softmax' && ending !== 'sigmoid')) return false
  if (Math.abs(1 - score) < saturation) return true
  return zero && zeroGradient !== false && score === 0
}

function whyNotFinite({ score, nonFiniteActivation, layer, dtype }: MapEvidence): string {
  const half = dtype === 'float16' ? ' float16 overflows beyond 65504: use the model in float32.' : ''
  if (nonFiniteActivation) return `Layer '${layer}' returned NaN or an infinity.${half}`
  if (score !== undefined && !Number.isFinite(score)) return `The score is ${score}.${half}`
  return `The gradient, or the map made of it, holds NaN or an infinity.${half}`
}

function whyZero({ zeroActivation, zeroGradient, layer, gradient }: MapEvidence): string {
  if (layer === undefined || layer === null)
    return gradient
      ? 'The score has no gradient here: a small change of the input does not change it.'
      : 'No change of the input that was tried changes the score.'
  if (zeroActivation) return `Layer '${layer}' returned zeros.`
  if (zeroGradient) return `The score has no gradient at layer '${layer}': a small change there does not change it.`
  return `The map of layer '${layer}' has no value above zero.`
}
