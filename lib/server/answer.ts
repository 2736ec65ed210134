import { highestClasses, type ExplainedMap, type ExplainedMaps } from '../batch/explain-batch.js'
import type { TopClass } from '../batch/result.js'
import type { BatchTarget } from '../batch/target.js'
import type { PrecisionDType } from '../explain/precision-choice.js'
import { methods } from '../methods/table.js'
import { endingOf, type ModelNote } from '../model/model-notes.js'
import { seenRegion, type Framing, type Region } from '../preprocess/framing.js'
import type { Pixels } from '../images/pixels.js'
import type { Tensor } from '../tensor/tensor.js'
import type { Plan } from './plan.js'
import { laneKeys, type ServedModel } from './served-model.js'

/** A decoded image. */
export interface DecodedImage {
  /** What the model takes: [1, 3, height, width]. */
  readonly input: Tensor
  /** Null where they are not needed any more. */
  readonly pixels: Pixels | null
  readonly size: readonly [height: number, width: number]
  readonly framing: Framing
}

/** One map of an answer. */
export interface AnswerMap extends ExplainedMap {
  readonly target: BatchTarget
  /** The class that was explained. */
  readonly class: number
  readonly score: number
  /** The type that precision 'auto' chose; null where it was not given, or there was nothing to choose. */
  readonly precision: PrecisionDType | null
}

/**
 * Where maps lie: the model's input in pixels of the image, which need not be whole. It is the region that the model saw, and
 * what was put around the image where that was too small.
 */
export interface MapWindow {
  readonly top: number
  readonly left: number
  readonly bottom: number
  readonly right: number
}

/** What was found about an image. */
export interface Answer {
  readonly model: ServedModel
  readonly size: readonly [height: number, width: number]
  readonly region: Region
  readonly window: MapWindow
  readonly outputs: number
  readonly top: readonly TopClass[]
  readonly maps: readonly AnswerMap[]
  readonly notes: readonly ModelNote[]
  readonly warnings: readonly string[]
}

/** Explains an image in the lanes of its model, with as few passes as the methods allow. */
export async function answerOf(
  { model, names, layers, targets, top, settings, inputs }: Plan,
  image: DecodedImage,
  signal: AbortSignal,
): Promise<Answer> {
  const keys = laneKeys(names, layers, settings, inputs)
  const found = await Promise.all(
    targets.map(async (target) => ({
      target,
      parts: await Promise.all(keys.map((key) => model.lane(key).explain(image.input, target, signal))),
    })),
  )
  const parts = found.flatMap((one) => one.parts)
  const { outputs, notes } = parts[0] as ExplainedMaps
  const { size, framing } = image
  // In the order of the request, which lanes do not keep.
  const maps = names.flatMap((method) =>
    (methods[method].layered ? layers : [null]).flatMap((layer) =>
      found.flatMap((one) =>
        one.parts.flatMap((part) =>
          part.maps
            .filter((map) => map.method === method && map.layer === layer)
            .map((map) => ({
              ...map,
              target: one.target,
              class: part.target,
              score: part.score,
              precision: part.precision?.dtype ?? null,
            })),
        ),
      ),
    ),
  )
  return {
    model,
    size,
    region: seenRegion(size, framing),
    window: windowOf(size, framing),
    outputs: outputs?.length ?? 0,
    top: highestClasses(outputs, endingOf(model.model), top),
    maps,
    notes,
    warnings: [...new Set(parts.flatMap((part) => part.warnings))],
  }
}

function windowOf([height, width]: readonly [number, number], { resized, offset, size }: Framing): MapWindow {
  const [down, along] = [height / resized[0], width / resized[1]]
  return {
    top: offset[0] * down,
    left: offset[1] * along,
    bottom: (offset[0] + size[0]) * down,
    right: (offset[1] + size[1]) * along,
  }
}
