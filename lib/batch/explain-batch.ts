import { callOperatorAsync } from '../tensor/dispatch.js'
import { functions } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import { disposeValue, type Value } from '../tensor/values.js'
import type { Item } from './input.js'
import type { MethodMap, MapExplainer } from '../methods/map-explainer.js'
import { endingOf, notesOf, type Ending } from '../model/model-notes.js'
import type { Model } from '../model/model.js'
import type { Prepared } from './prepare.js'
import type { ExplainedInput, TopClass } from './result.js'
import { outputPart } from '../target/top-classes.js'
import { toPath } from '../target/path.js'
import { jointTarget } from './target.js'

/** An input that is ready to be explained. */
export interface Ready {
  readonly item: Item
  readonly prepared: Prepared
  /** When it was taken from the source, by `performance.now()`. */
  readonly began: number
}

/** How many of the highest classes a result names. */
const topClasses = 5

/** Explains inputs of one shape and of one kind of target, in one pass. */
export async function explainBatch(
  explainer: MapExplainer,
  model: Model,
  batch: readonly Ready[],
  signal: AbortSignal,
): Promise<ExplainedInput[]> {
  const inputs = batch.map(({ prepared }) => prepared.input)
  using input = await callOperatorAsync(functions.cat, [inputs, 0], { signal })
  const target = jointTarget(batch.map(({ item }) => item.target))
  const { output, targets, scores, maps, warnings = [], of } = await explainer.explain(input, { target, signal })
  try {
    const [{ map, conditions }] = maps as [MethodMap]
    using _map = map
    using near = await callOperatorAsync(functions.to, [map, 'cpu', 'float32'], { signal })
    const sizes = near.shape.slice(2)
    const width = sizes.at(-1) ?? 1
    const height = sizes.slice(0, -1).reduce((product, size) => product * size, 1)
    const cells = near.toTypedArray() as Float32Array
    const path = typeof target === 'object' && 'kind' in target ? (toPath(target.of) ?? of) : of
    const outputs = await outputRows(outputPart(output, path ?? []) ?? null, batch.length, signal)
    const notes = notesOf(model)
    const ending = endingOf(model)
    return batch.map(({ item, prepared, began }, i) => ({
      index: item.index,
      id: item.id,
      target: targets[i] ?? -1,
      score: scores[i] ?? NaN,
      of: of ?? null,
      outputs: outputs?.[i]?.length ?? 0,
      top: outputs ? highest(outputs[i] as Float32Array, ending) : [],
      condition: conditions[i] ?? { state: 'ok', reason: null },
      notes,
      sha256: prepared.sha256,
      milliseconds: performance.now() - began,
      map: { data: cells.slice(i * height * width, (i + 1) * height * width), height, width, sizes },
      image: prepared.image,
      framing: prepared.framing ?? wholeOf(prepared.input),
      warnings,
    }))
  } finally {
    disposeValue(output)
  }
}

/** The output of each image, where it is [N, C]. */
async function outputRows(output: Value, images: number, signal: AbortSignal): Promise<Float32Array[] | null> {
  if (!(output instanceof Tensor) || output.shape.length !== 2 || output.shape[0] !== images) return null
  using near = await callOperatorAsync(functions.to, [output, 'cpu', 'float32'], { signal })
  const all = near.toTypedArray() as Float32Array
  const each = all.length / images
  return Array.from({ length: images }, (_, i) => all.subarray(i * each, (i + 1) * each))
}

function highest(outputs: Float32Array, ending: Ending): TopClass[] {
  const indices: number[] = []
  for (let rank = 0; rank < Math.min(topClasses, outputs.length); rank++) {
    let best = -1
    for (let i = 0; i < outputs.length; i++)
      if (!indices.includes(i) && (best < 0 || (outputs[i] as number) > (outputs[best] as number))) best = i
    indices.push(best)
  }
  const peak = outputs[indices[0] as number] as number
  const sum = outputs.reduce((total, value) => total + Math.exp(value - peak), 0)
  return indices.map((index) => {
    const score = outputs[index] as number
    // A model that ends in softmax or sigmoid gives probabilities already.
    if (ending === 'softmax' || ending === 'sigmoid') return { class: index, score, probability: score }
    return { class: index, score, probability: Math.exp(score - peak) / sum }
  })
}

/** Of the last two dimensions; a signal is one row. */
export function wholeOf({ shape }: Tensor): ExplainedInput['framing'] {
  const [height = 1, width = 1] = shape.length > 3 ? shape.slice(-2) : [1, shape.at(-1)]
  return { resized: [height, width], offset: [0, 0], size: [height, width] }
}
