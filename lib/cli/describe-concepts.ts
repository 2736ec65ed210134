import type { FactorizationExplanation } from '../cam/feature-factorization.js'
import { endingOf } from '../model/model-notes.js'
import type { Model } from '../model/model.js'
import { className } from '../target/labels.js'
import { tidy } from '../tensor/tidy.js'

/** A concept as files and texts say it. */
export interface Concept {
  /** From 1 on. */
  readonly concept: number
  /** Its greatest value at a position, over all images. */
  readonly most: number
  /** The classes that the model finds in the concept alone, the most probable first; empty where it cannot be asked. */
  readonly classes: readonly { readonly class: number; readonly name: string; readonly probability: number }[]
}

/** How many classes a line has room for. */
const mostClasses = 3

/** What a factorization found, concept by concept. */
export function describeConcepts(
  model: Model,
  found: FactorizationExplanation,
  labels: readonly string[] | null,
): Concept[] {
  const { maps } = found
  const count = maps.shape[1] as number
  using largest = tidy(() => maps.to({ device: 'cpu', dtype: 'float64' }).transpose(0, 1).flatten(1).amax([1]))
  const most = largest.tolist() as number[]
  const probabilities = found.scored ? probabilitiesOf(model, found) : null
  return Array.from({ length: count }, (_, k) => {
    const ranked = (probabilities?.[k] ?? [])
      .map((probability, index) => ({ class: index, name: className(index, labels), probability }))
      .sort((a, b) => b.probability - a.probability)
    return {
      concept: k + 1,
      most: Math.max(most[k] as number, Number.MIN_VALUE),
      classes: ranked.slice(0, mostClasses),
    }
  })
}

/** Null where the model returns something else than a row of scores for each concept. */
function probabilitiesOf(model: Model, found: FactorizationExplanation): number[][] | null {
  const scores = found.conceptScores()
  if (scores.shape.length !== 2 || (scores.shape[1] as number) < 2) return null
  using rows = tidy(() => {
    const wide = scores.to({ device: 'cpu', dtype: 'float64' })
    const ending = endingOf(model)
    if (ending === 'softmax' || ending === 'sigmoid') return wide
    return ending === 'log_softmax' ? wide.exp() : wide.softmax(1)
  })
  return rows.tolist() as number[][]
}

/** A line for each concept, as in a legend: "concept 1: cat (class 0) 0.93, dog (class 1) 0.05". */
export const linesOf = (concepts: readonly Concept[]): string[] =>
  concepts.map(({ concept, classes }) => {
    const named = classes.map(({ name, probability }) => `${name} ${probability.toFixed(2)}`)
    return `concept ${concept}${named.length > 0 ? `: ${named.join(', ')}` : ''}`
  })
