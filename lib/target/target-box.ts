import type { NativeTarget } from '../addon/native-pass.js'
import { isRecord, toList } from '../base/check.js'
import type { NestedNumbers } from '../tensor/elements.js'
import { Tensor } from '../tensor/tensor.js'
import { isStep, toStep } from './path.js'

/** The corners of a box, x1, y1, x2, y2, in pixels of the model's input, as object detectors return boxes. */
export type BoxXYXY = readonly [x1: number, y1: number, x2: number, y2: number]

/**
 * What an object detector found at a box: the sum, over the boxes of an image, of IoU + score of the detection that overlaps
 * the box most. As pytorch-grad-cam's FasterRCNNBoxScoreTarget, but that one looks at the label after it has chosen by IoU
 * alone; here the best of the label is chosen. Where no detection of the image itself matches, this is ERR_TARGET, and there a
 * zero; methods that explain by changed copies (Score-CAM, occlusion, integrated gradients ...) count a zero for a copy here, too.
 *
 * The output, or what `of` leads to in it, holds boxes [K, 4], labels [K] and scores [K]: in a dict or tuple for each image in
 * a list, as torchvision's detectors give, or in one dict or tuple of all images, [N, K, ...]. Targets of the result are the
 * labels of the detections, -1 where the model gives none.
 */
export interface BoxTarget {
  readonly kind: 'box'
  /** One box for all images, one for each, or as many for each. */
  readonly box: BoxXYXY | readonly BoxXYXY[] | readonly (readonly BoxXYXY[])[]
  /** Only detections of this label count; any by default. One for all, one per image, or one for each box. */
  readonly label?: number | readonly number[] | readonly (readonly number[])[]
  /** The IoU that a detection must exceed, 0.5 by default. */
  readonly iou?: number
  /** Where no detection matches: 'error' (the default), or 'zero', which adds nothing to the score; the target is then -1. */
  readonly missing?: 'error' | 'zero'
  /** The names or positions of the three, by default 'boxes', 'labels' and 'scores'. */
  readonly parts?: {
    readonly boxes?: string | number
    readonly labels?: string | number
    readonly scores?: string | number
  }
}

export const boxTargetKeys: readonly string[] = ['box', 'label', 'iou', 'missing', 'parts']

/** The sizes of nested arrays of numbers of one shape; null for anything else, and for more dimensions than boxes have. */
function shapeOf(value: unknown, holds: (value: unknown) => boolean, depth = 0): number[] | null {
  const list = toList(value)
  if (!list) return holds(value) ? [] : null
  if (depth === 3) return null
  const shapes = list.map((inner) => shapeOf(inner, holds, depth + 1))
  const [first] = shapes
  if (!first || !shapes.every((shape) => shape?.join() === first.join())) return null
  return [list.length, ...first]
}

/** Boxes [1 or N, B, 4]. */
function boxTensor(box: unknown, refuse: (expected: string) => never): Tensor {
  const shape = shapeOf(box, (value) => Number.isFinite(value))
  if (!shape || shape.length < 1 || shape.length > 3 || shape.at(-1) !== 4)
    refuse('Its `box` must be [x1, y1, x2, y2], one of them for each image, or as many for each image.')
  const flat = (box as readonly unknown[]).flat(2) as number[]
  for (let i = 0; i < flat.length; i += 4)
    if (!((flat[i] as number) < (flat[i + 2] as number) && (flat[i + 1] as number) < (flat[i + 3] as number)))
      refuse('Its `box` must be [x1, y1, x2, y2] with x1 < x2 and y1 < y2.')
  const images = shape.length === 1 ? 1 : (shape[0] as number)
  return Tensor.from(Float64Array.from(flat), [images, flat.length / 4 / images, 4])
}

/** Labels [1 or N, 1 or B]. */
function labelTensor(label: unknown, boxes: readonly number[], refuse: (expected: string) => never): Tensor {
  const shape = shapeOf(label, (value) => Number.isSafeInteger(value))
  if (!shape || shape.length > 2 || shape.includes(0))
    refuse('Its `label` must be an integer, one for each image, or one for each box of each image.')
  const [images = 1, each = 1] = shape
  if (each !== 1 && each !== boxes[1])
    refuse(`It has ${each} labels for ${boxes[1]} boxes of an image: give one for each.`)
  const flat = [label].flat(2) as number[]
  return Tensor.from(BigInt64Array.from(flat, BigInt), [images, each])
}

/** A box target as the native side takes it, and the tensors made for that. */
export function toNativeBoxes(
  { box, label, iou = 0.5, missing = 'error', parts = {} }: BoxTarget,
  refuse: (expected: string) => never,
): { target: Pick<NativeTarget, 'boxes' | 'labels' | 'iou' | 'mayMiss' | 'parts'>; [Symbol.dispose](): void } {
  if (!(typeof iou === 'number' && iou >= 0 && iou < 1)) refuse('Its `iou` must be a number from 0 to less than 1.')
  if (missing !== 'error' && missing !== 'zero') refuse("Its `missing` must be 'error' or 'zero'.")
  if (!isRecord(parts)) refuse('Its `parts` must be an object { boxes, labels, scores }.')
  const names: unknown[] = [parts.boxes ?? 'boxes', parts.labels ?? 'labels', parts.scores ?? 'scores']
  const steps = names.filter(isStep).map(toStep)
  if (steps.length !== names.length) refuse('Its `parts` must be names or positions.')
  const boxes = boxTensor(box, refuse)
  let labels: Tensor | undefined
  try {
    if (label !== undefined) labels = labelTensor(label, boxes.shape, refuse)
  } catch (error) {
    boxes.dispose()
    throw error
  }
  return {
    target: { boxes: boxes.handle, labels: labels?.handle, iou, mayMiss: missing === 'zero', parts: steps },
    [Symbol.dispose]() {
      boxes.dispose()
      labels?.dispose()
    },
  }
}

const depthOf = (value: NestedNumbers | undefined): number =>
  Array.isArray(value) ? 1 + depthOf((value as readonly NestedNumbers[])[0]) : 0

/**
 * The target of copies of images: a detection that a copy lacks adds nothing.
 *
 * @param labels of each copy, as found in the image itself
 * @param images the number of each copy's image
 */
export function boxesOfCopies(data: BoxTarget, labels: readonly number[], images: readonly number[]): BoxTarget {
  const { box, label } = data
  // Of several boxes only the first one's label is known.
  const alone = depthOf(box) < 3 || (box[0] as readonly BoxXYXY[]).length === 1
  const found = alone && labels.some((of) => of >= 0) ? labels : undefined
  const requested = Array.isArray(label) ? pick(label as readonly number[], images) : (label ?? found)
  return {
    ...data,
    missing: 'zero',
    box: depthOf(box) === 1 ? box : pick(box as readonly BoxXYXY[], images),
    ...(requested !== undefined && { label: requested }),
  }
}

/** A list with one item for all images, or one for each, as one for each. */
const pick = <Item>(list: readonly Item[], images: readonly number[]): readonly Item[] =>
  list.length === 1 ? list : images.map((image) => list[image] as Item)
