import { isRecord, show, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { toNativeTarget, type TargetData } from '../target/target.js'
import type { BoxTarget, BoxXYXY } from '../target/target-box.js'

/** What to explain of one input: a class index, the top class, or plain data without tensors. */
export type BatchTarget = number | 'argmax' | TargetData

const isBox = (target: BatchTarget): target is TargetData & BoxTarget =>
  typeof target === 'object' && target.kind === 'box'

/** A target of one box with at most one label: several of them fit into one batch. */
const isSingleBox = (target: BatchTarget): target is TargetData & BoxTarget & { box: BoxXYXY; label?: number } =>
  isBox(target) && typeof target.box[0] === 'number' && !Array.isArray(target.label)

/** Throws ERR_TARGET for an invalid target. */
export function checkBatchTarget(target: BatchTarget): void {
  if (isRecord(target)) {
    using _native = toNativeTarget(target)
    // Tensors would have to live as long as the run.
    if (!('mask' in target) || toList(target.mask)) return
  } else if (target === 'argmax' || (Number.isSafeInteger(target) && (target as number) >= 0)) return
  throw new GradCamError('ERR_TARGET', `${show(target)} is not a target for batches.`, {
    remedy: "Give a class index, 'argmax', or an object with a kind and without tensors.",
  })
}

/** A target of a part of the output, unless it names a part itself. */
export function targetOf(target: BatchTarget, of: readonly (string | number)[]): BatchTarget {
  if (typeof target !== 'object') return { kind: 'class', class: target, of }
  return target.of === undefined ? { ...target, of } : target
}

/** A target of classes alone: several of them fit into one batch. */
const isOneClass = (target: BatchTarget): target is TargetData & { kind: 'class'; class: number } =>
  typeof target === 'object' && target.kind === 'class' && typeof target.class === 'number'

/** What the targets of one batch have in common. */
export function targetGroup(target: BatchTarget): string {
  if (typeof target !== 'object') return target === 'argmax' ? target : 'class'
  if (isOneClass(target)) return JSON.stringify({ ...target, class: 'one' })
  if (!isSingleBox(target)) return JSON.stringify(target)
  const { box: _box, label, ...rest } = target
  return JSON.stringify({ ...rest, labelled: label !== undefined })
}

/** One target for a batch whose targets are of one group. */
export function jointTarget(targets: readonly BatchTarget[]): 'argmax' | readonly number[] | TargetData {
  const [first] = targets
  if (typeof first !== 'object') return first === 'argmax' ? first : (targets as readonly number[])
  if (isOneClass(first)) return { ...first, class: targets.filter(isOneClass).map((target) => target.class) }
  if (!isSingleBox(first)) return first
  const boxes = targets.filter(isSingleBox)
  const label = boxes.map((target) => target.label ?? -1)
  return { ...first, box: boxes.map(({ box }) => box), ...(first.label !== undefined && { label }) }
}
