import { native } from '../addon/native.js'
import type { NativeValue } from '../addon/binding.js'
import { Tensor } from './tensor.js'

/**
 * What goes into a model and comes out of it: tensors, plain values, and arrays and objects of them. A TorchScript tuple
 * or list is an array, a dict or a named tuple an object.
 */
export type Value =
  Tensor | number | bigint | boolean | string | null | readonly Value[] | { readonly [name: string]: Value | undefined }

/** The same value with every tensor replaced by its native handle. */
export function unwrapValue(value: Value | undefined): NativeValue {
  if (value instanceof Tensor) return value.handle
  if (Array.isArray(value)) return (value as readonly Value[]).map(unwrapValue)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, unwrapValue(inner)]))
  return value
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

/** Disposes every tensor inside a value: for outputs that are arrays or objects, which `using` cannot take. */
export function disposeValue(value: Value | undefined): void {
  if (value instanceof Tensor) value.dispose()
  else if (Array.isArray(value)) for (const inner of value as readonly Value[]) disposeValue(inner)
  else if (typeof value === 'object' && value !== null)
    for (const inner of Object.values(value as Record<string, Value>)) disposeValue(inner)
}
