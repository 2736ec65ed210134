import type { Ending } from '../model/model-notes.js'

/** Whether a map says something, and if not, why. */
export interface MapCondition {
  /**
   * - ok: it says something.
   * - zero: it is zero everywhere.
   * - saturated: the model's softmax or sigmoid gives 1 within rounding, where its gradient vanishes.
   * - rounding: it is made of rounding errors, or of the masks alone, and another run may show another map.
   * - constant: it has the same value at every spatial position, within rounding; a greatest one says nothing.
   * - not-finite: it holds NaN or an infinity.
   */
  readonly state: 'ok' | 'zero' | 'saturated' | 'rounding' | 'constant' | 'not-finite'
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
  /** Whether it uses the score at all. */
  readonly scored?: boolean
  /** How the values of an attribution come from gradients, where it is not said: from changes of the input, or at a layer. */
  readonly from?: GradientUse | undefined
  /** Of what the layer returned, where the map is of a layer. */
  readonly zeroActivation?: boolean | undefined
  readonly zeroGradient?: boolean | undefined
  /** Whether it adds up to zero over space in every channel, where the method averages it. */
  readonly cancelledGradient?: boolean | undefined
  /** Whether it has one value within rounding, which is not 0, before it is normalised. */
  readonly constant?: boolean | undefined
  /** Whether the score stayed the same within rounding whatever was changed, where the method changes things. */
  readonly sameScores?: boolean | undefined
  /** Whether the layer returned a single spatial position. */
  readonly onePosition?: boolean
  readonly nonFiniteActivation?: boolean | undefined
  /** Absent where the map is not of a layer; null where it is of several together. */
  readonly layer?: string | null
  readonly dtype?: string | null
}

/**
 * - plain: a gradient, or its size
 * - ruled: a gradient of which a rule lets only some through, as guided backprop's does
 * - weighted: gradients times something else, such as the input's distance from a baseline
 */
export type GradientUse = 'plain' | 'ruled' | 'weighted'

const ok: MapCondition = { state: 'ok', reason: null }

/** Sums of float32 products that are one number differ by no more, in units of the rounding of the largest. */
const roundings = 32
const epsilons = { float32: 2 ** -23, float64: 2 ** -52 }

/** Whether numbers of a range, none larger than the given one, are one number but for the rounding of float32 or float64. */
export function isRounding(range: number, largest: number, dtype: string | null): boolean {
  return range <= roundings * epsilons[dtype === 'float64' ? 'float64' : 'float32'] * largest
}

/** A probability nearer to 1 than this has lost most digits of 1 - p, and with them its gradient, in float32. */
const saturation = 1e-6

export function conditionOf(evidence: MapEvidence): MapCondition {
  const { nonFinite, scored, score = 0 } = evidence
  if (nonFinite || (scored && !Number.isFinite(score))) return { state: 'not-finite', reason: whyNotFinite(evidence) }
  if (isSaturated(evidence)) {
    const { ending } = evidence
    const reason =
      `The model ends in ${ending}, which is saturated: it gives ${Number(score.toPrecision(9))}, where its gradient vanishes. ` +
      `Export the model without its last ${ending}, and explain the logits.`
    return { state: 'saturated', reason }
  }
  if (evidence.cancelledGradient) return { state: 'rounding', reason: whyRounding(evidence) }
  // Normalising turns a constant map into zeros.
  if (evidence.zero && !evidence.constant) return { state: 'zero', reason: whyZero(evidence) }
  if (evidence.sameScores) return { state: 'rounding', reason: whySame(evidence) }
  return evidence.constant ? { state: 'constant', reason: whyConstant(evidence) } : ok
}

/** Whether it says something where the map is greatest. */
export const hasPeak = ({ state }: Pick<MapCondition, 'state'>): boolean => state === 'ok' || state === 'saturated'

function whyConstant({ layer, onePosition }: MapEvidence): string {
  if (layer === undefined) return 'Every spatial position has the same value, within rounding: none stands out.'
  if (onePosition)
    return `Layer '${layer}' returned a single spatial position. Pick an earlier one, which still has several.`
  return `${mapOf(layer)} has the same value at every spatial position, within rounding: none stands out.`
}

const whySame = ({ layer }: MapEvidence): string =>
  layer === undefined
    ? 'No change of the input that was tried changes the score by more than rounding: the map shows rounding, or the masks alone.'
    : `No single channel of ${nameOf(layer)} changes the score by more than rounding, so that the weights of channels say nothing.`

const whyRounding = ({ layer }: MapEvidence): string =>
  `The gradient at layer '${layer}' adds up to zero in every channel, as before a normalisation of each channel by its own ` +
  'mean (InstanceNorm), so that the weights are rounding errors. Pick the layer after the normalisation, or HiResCAM.'

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

function whyZero({ zeroActivation, zeroGradient, layer, gradient, from = 'plain', dtype }: MapEvidence): string {
  const half = dtype === 'float16' ? ' float16 rounds what is below 6e-8 to 0: the model in float32 may have one.' : ''
  if (layer === undefined)
    return gradient ? `${withoutGradient[from]}${half}` : 'No change of the input that was tried changes the score.'
  if (zeroActivation) return `Layer '${layer}' returned zeros.`
  if (zeroGradient)
    return `The score has no gradient at layer '${layer}': a small change there does not change it.${half}`
  return `${mapOf(layer)} has no value above zero.`
}

const nameOf = (layer: string | null): string => (layer === null ? 'the layers' : `layer '${layer}'`)
const mapOf = (layer: string | null): string => `The map of ${nameOf(layer)}`

const withoutGradient: Readonly<Record<GradientUse, string>> = {
  plain: 'The score has no gradient here: a small change of the input does not change it.',
  ruled: 'No gradient reaches the input: the score has none here, or the rule of the method lets none through.',
  weighted:
    'All products are zero: the score has no gradient here, or the input is as the baseline that it is compared with.',
}
