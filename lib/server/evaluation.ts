import { metrics } from '../metrics/table.js'
import type { Measured } from '../metrics/metric.js'
import type { ScoreKind } from '../metrics/scores.js'
import { Tensor } from '../tensor/tensor.js'
import { answerOf, type Answer, type AnswerMap, type DecodedImage } from './answer.js'
import type { Plan } from './plan.js'

/** The metrics that a request may ask for: those whose result for one image is a curve over shares of its pixels. */
export const curveMetrics = ['insertion', 'deletion'] as const

export type CurveMetric = (typeof curveMetrics)[number]

/** How maps are evaluated. */
export interface EvaluationAsk {
  readonly metric?: readonly CurveMetric[]
  /** In how many steps pixels are exchanged. */
  readonly steps?: number
  readonly score?: ScoreKind
}

/** The most maps that one request may have evaluated: each metric runs the model `steps` + 1 times for each of them. */
export const mostEvaluated = 16

/** A map, and its result by each metric; null where it holds NaN or an infinity, which cannot be ordered. */
export interface EvaluatedMap extends AnswerMap {
  readonly results: Readonly<Partial<Record<CurveMetric, Measured>>> | null
}

/** An answer whose maps are evaluated. */
export interface Evaluated extends Answer {
  /** The shares of pixels that the curves are over: 0 to 1. */
  readonly points: readonly number[]
  readonly maps: readonly EvaluatedMap[]
}

/** Explains an image, and measures by the metrics of lib/metrics whether the maps say what the model looks at. */
export async function evaluate(
  plan: Plan,
  { metric: names = curveMetrics, steps = 20, score = 'probability' }: EvaluationAsk,
  image: DecodedImage,
  signal: AbortSignal,
): Promise<Evaluated> {
  const answer = await answerOf(plan, image, signal)
  const maps: EvaluatedMap[] = []
  for (const map of answer.maps) {
    if (map.condition.state === 'not-finite') {
      maps.push({ ...map, results: null })
      continue
    }
    const { height, width, data } = map.values
    using relevance = Tensor.from(data, [1, 1, height, width])
    const targets = typeof map.target === 'object' ? map.target : [map.class]
    const results: Partial<Record<CurveMetric, Measured>> = {}
    for (const name of names) {
      using metric = metrics[name].create(plan.model.model, { steps, score })
      await metric.add(image.input, relevance, { targets, signal })
      const { mean, curve } = metric.result()
      results[name] = { value: mean, curve }
    }
    maps.push({ ...map, results })
  }
  const points = Array.from({ length: steps + 1 }, (_, k) => k / steps)
  return { ...answer, points, maps }
}
