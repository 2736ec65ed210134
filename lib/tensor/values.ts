import { native } from '../addon/native.js'
import type { NativeValue } from '../addon/native-values.js'
import { invalid, isRecord, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { Tensor } from './tensor.js'

/**
 * What goes into a model and comes out of it: tensors, plain values, and arrays and objects of them. A TorchScript tuple
 * or list is an array, a dict or a named tuple an object.
 */
export type Value =
  Tensor | number | bigint | boolean | string | null | readonly Value[] | { readonly [name: string]: Value | undefined }

/** Deeper than any value of a model; an object inside itself would be nested for ever. */
const deepest = 100

/** The same value with every tensor replaced by its native handle. Refuses what cannot be a {@link Value}. */
export function unwrapValue(value: Value | undefined): NativeValue {
  return unwrap(value, 0)
}

function unwrap(value: Value | undefined, depth: number): NativeValue {
  if (value instanceof Tensor) return value.handle
  if (typeof value === 'symbol' || typeof value === 'function' || ArrayBuffer.isView(value))
    throw invalid('value', 'a Tensor, a plain value, or arrays and objects of them', value)
  if (typeof value !== 'object' || value === null) return value
  if (depth === deepest)
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `A value must not be nested deeper than ${deepest} arrays and objects.`,
    )
  const list = toList(value) as readonly Value[] | null
  if (list) return list.map((inner) => unwrap(inner, depth + 1))
  if (!isRecord(value)) throw invalid('value', 'a Tensor, a plain value, or arrays and objects of them', value)
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, unwrap(inner, depth + 1)]))
}

/** The same value with every native handle owned by a tensor. */
export function wrapValue(value: NativeValue): Value {
  if (value instanceof native().TensorHandle) return Tensor.own(value)
  if (Array.isArray(value)) return (value as readonly NativeValue[]).map(wrapValue)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, wrapValue(inner)]))
  return value ?? null
}

/** The same value with tensors of its own on the same memory, off the graph. */
export function shareValue(value: Value | undefined): Value {
  if (value instanceof Tensor) return value.detach()
  if (Array.isArray(value)) return (value as readonly Value[]).map(shareValue)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shareValue(inner)]))
  return value ?? null
}

/**
 * Disposes every tensor inside a value: for outputs that are arrays or objects, which `using` cannot take. Does nothing to
 * values without tensors.
 */
export function disposeValue(value: Value | undefined): void {
  disposeInside(value, new Set())
}

/** @param seen the arrays and objects already visited: an object may hold itself */
function disposeInside(value: unknown, seen: Set<unknown>): void {
  if (value instanceof Tensor) return value.dispose()
  if (seen.has(value) || ArrayBuffer.isView(value)) return
  seen.add(value)
  const inside: Iterable<unknown> = toList(value) ?? (isRecord(value) ? Object.values(value) : [])
  for (const inner of inside) disposeInside(inner, seen)
}
