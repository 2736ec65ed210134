import { callOperatorAsync } from '../tensor/dispatch.js'
import { functions } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import { disposeValue, type Value } from '../tensor/values.js'
import type { Item } from './input.js'
import type { MapValues } from '../images/draw-map.js'
import type { MapCondition } from '../explain/condition.js'
import type { PrecisionChoice } from '../explain/precision-choice.js'
import type { MethodMap, MapExplainer } from '../methods/method-maps.js'
import type { MethodName } from '../methods/table.js'
import { endingOf, notesOf, type Ending, type ModelNote } from '../model/model-notes.js'
import type { Model } from '../model/model.js'
import type { Prepared } from './prepare.js'
import type { ExplainedInput, TopClass } from './result.js'
import { outputPart } from '../target/top-classes.js'
import { toPath } from '../target/path.js'
import { jointTarget } from './target.js'

/** A model, and what explains by it. */
export interface BatchExplainer {
  readonly model: Model
  /** All inputs of a model that takes several, with null where the images go. */
  readonly inputs?: readonly Value[] | undefined
  readonly explainer: MapExplainer
}

/** An input that is ready to be explained. */
export interface Ready {
  readonly item: Item
  readonly prepared: Prepared
  /** When it was taken from the source, by `performance.now()`. */
  readonly began: number
}

/** How many of the highest classes a result names. */
export const usualTop = 5

/** A map that a batch gave for one of its inputs. */
export interface ExplainedMap {
  readonly method: MethodName
  /** Null for a method that requires no layer. */
  readonly layer: string | null
  readonly values: MapValues
  readonly condition: MapCondition
  /** How often the pass called the layer; null likewise. */
  readonly calls: number | null
}

/** What a batch gave for one of its inputs: all maps of the explainer. */
export interface ExplainedMaps {
  /** The index of the input. */
  readonly index: number
  readonly target: number
  readonly score: number
  /** See {@link ExplainedInput.of}. */
  readonly of: ExplainedInput['of']
  /** The numbers that the model returned for it; null where the output is not [N, C]. */
  readonly outputs: Float32Array | null
  readonly maps: readonly ExplainedMap[]
  readonly notes: readonly ModelNote[]
  readonly warnings: readonly string[]
  /** See {@link ExplainedInput.precision}. */
  readonly precision: PrecisionChoice | null
}

/** Explains inputs of one shape and of one kind of target, in one pass, by an explainer of one map. */
export async function explainBatch(
  { explainer, model }: BatchExplainer,
  batch: readonly Ready[],
  signal: AbortSignal,
): Promise<ExplainedInput[]> {
  const found = await explainMaps({ explainer, model }, batch, signal)
  const ending = endingOf(model)
  return batch.map(({ item, prepared, began }, i) => {
    const { maps, outputs, ...rest } = found[i] as ExplainedMaps
    const [{ values, condition, calls }] = maps as readonly [ExplainedMap]
    return {
      ...rest,
      outputs: outputs?.length ?? 0,
      top: highestClasses(outputs, ending, usualTop),
      id: item.id,
      condition,
      calls,
      sha256: prepared.sha256,
      milliseconds: performance.now() - began,
      map: values,
      image: prepared.image,
      framing: prepared.framing ?? wholeOf(prepared.input),
    }
  })
}

/** The same by an explainer of any number of maps. */
export async function explainMaps(
  { explainer, model }: BatchExplainer,
  batch: readonly Ready[],
  signal: AbortSignal,
): Promise<ExplainedMaps[]> {
  const inputs = batch.map(({ prepared }) => prepared.input)
  using input = await callOperatorAsync(functions.cat, [inputs, 0], { signal })
  const target = jointTarget(batch.map(({ item }) => item.target))
  const {
    output,
    targets,
    scores,
    maps,
    warnings = [],
    of,
    precision = null,
  } = await explainer.explain(input, { target, signal })
  try {
    const rows: (readonly ExplainedMap[])[] = []
    for (const each of maps) rows.push(await mapRows(each, signal))
    const path = typeof target === 'object' && 'kind' in target ? (toPath(target.of) ?? of) : of
    const rowsFirst = typeof target !== 'object' || !('kind' in target) || (target.imageDim ?? 0) === 0
    const outputs = rowsFirst ? await outputRows(outputPart(output, path ?? []) ?? null, batch.length, signal) : null
    const notes = notesOf(model)
    return batch.map(({ item }, i) => ({
      index: item.index,
      target: targets[i] ?? -1,
      score: scores[i] ?? NaN,
      of: of ?? null,
      outputs: outputs?.[i] ?? null,
      maps: rows.map((ofMap) => ofMap[i] as ExplainedMap),
      notes,
      warnings,
      precision,
    }))
  } finally {
    for (const { map } of maps) map.dispose()
    disposeValue(output)
  }
}

/** The maps of one method at one layer, for each image. */
async function mapRows(
  { method, layer, map, conditions, calls }: MethodMap,
  signal: AbortSignal,
): Promise<ExplainedMap[]> {
  using near = await callOperatorAsync(functions.to, [map, 'cpu', 'float32'], { signal })
  const [images = 0, , ...sizes] = near.shape
  const width = sizes.at(-1) ?? 1
  const height = sizes.slice(0, -1).reduce((product, size) => product * size, 1)
  const cells = near.toTypedArray() as Float32Array
  return Array.from({ length: images }, (_, i) => ({
    method,
    layer,
    values: { data: cells.slice(i * height * width, (i + 1) * height * width), height, width, sizes },
    condition: conditions[i] ?? { state: 'ok', reason: null },
    calls,
  }))
}

/** The output of each image, where it is [N, C]. */
async function outputRows(output: Value, images: number, signal: AbortSignal): Promise<Float32Array[] | null> {
  if (!(output instanceof Tensor) || output.shape.length !== 2 || output.shape[0] !== images) return null
  using near = await callOperatorAsync(functions.to, [output, 'cpu', 'float32'], { signal })
  const all = near.toTypedArray() as Float32Array
  const each = all.length / images
  return Array.from({ length: images }, (_, i) => all.subarray(i * each, (i + 1) * each))
}

/** The `count` highest of a row of outputs, the highest first; none without a row. */
export function highestClasses(outputs: Float32Array | null, ending: Ending, count: number): TopClass[] {
  if (!outputs || outputs.length === 0) return []
  const indices: number[] = []
  const taken = new Uint8Array(outputs.length)
  for (let rank = 0; rank < Math.min(count, outputs.length); rank++) {
    let best = -1
    for (let i = 0; i < outputs.length; i++)
      if (taken[i] === 0 && (best < 0 || (outputs[i] as number) > (outputs[best] as number))) best = i
    indices.push(best)
    taken[best] = 1
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
