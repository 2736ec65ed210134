import { expect } from '../base/check.js'
import type { Tensor } from './tensor.js'

/** Tensors made since the innermost {@link tidy} began; null outside of any. */
let scope: Set<Tensor> | null = null

/** @internal Each new tensor is told of here. */
export function addToScope(tensor: Tensor): void {
  scope?.add(tensor)
}

/**
 * Runs `fn` and disposes every tensor made in it but the one that it returns.
 *
 * @param fn must be synchronous
 * @throws GradCamError ERR_INVALID_ARGUMENT for what is not a function; what `fn` throws
 */
export function tidy<Result extends Tensor | number | void>(fn: () => Result): Result {
  expect.function('fn', fn)
  const outer = scope
  const inner = new Set<Tensor>()
  scope = inner
  try {
    const result = fn()
    if (typeof result === 'object' && inner.delete(result)) outer?.add(result)
    return result
  } finally {
    scope = outer
    for (const tensor of inner) tensor.dispose()
  }
}
