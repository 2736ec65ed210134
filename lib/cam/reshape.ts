import { inspect } from 'node:util'
import type { NativeReshape, TensorHandle } from '../addon/binding.js'
import { GradCamError } from '../base/errors.js'
import { Tensor, tidy } from '../tensor/tensor.js'

/**
 * How the output of a layer becomes [N, C, h, w], where it is something else.
 *
 * - `'vit'`: [N, 1 + h w, C], a class token before the patches; the same as `{ tokens: 'input', skip: 1 }`
 * - `'swin'`: [N, h, w, C]; the same as `{ permute: [0, 3, 1, 2] }`
 * - `tokens`: [N, skip + h w, C]: `skip` tokens (0 by default) that are no places, then places row by row in a grid of
 *   [rows, columns], or of the proportions of the model's input
 * - `permute`: the order of dimensions that makes [N, C, ...]
 * - a function of the activation, which is called once more with its gradient, and so may move, drop or add up elements but
 *   not look at their values. It runs on the JavaScript thread while the pass waits, must be synchronous, and what it makes on
 *   its way is freed. Not for Ablation-CAM, which has to go the way back
 */
export type Reshape =
  | 'vit'
  | 'swin'
  | { readonly tokens: 'input' | readonly [rows: number, columns: number]; readonly skip?: number }
  | { readonly permute: readonly number[] }
  | ((tensor: Tensor) => Tensor)

const named: Record<string, Exclude<Reshape, string>> = {
  vit: { tokens: 'input', skip: 1 },
  swin: { permute: [0, 3, 1, 2] },
}

const isCount = (value: unknown, least: number) => Number.isSafeInteger(value) && (value as number) >= least

function callReshape(reshape: (tensor: Tensor) => Tensor, handle: TensorHandle): TensorHandle {
  using given = Tensor.own(handle)
  return tidy(() => {
    const shaped: unknown = reshape(given)
    if (shaped instanceof Tensor) return shaped.detach()
    if (shaped instanceof Promise) shaped.catch(() => {})
    throw new GradCamError(
      'ERR_LAYER_OUTPUT',
      `The reshape function returned ${inspect(shaped, { depth: 0 })}. It must return a Tensor [N, C, h, w], synchronously.`,
    )
  }).handle
}

/** A reshape as the native side takes it. */
export function toNativeReshape(reshape: Reshape | undefined): NativeReshape | undefined {
  if (reshape === undefined) return undefined
  if (typeof reshape === 'function') return { kind: 'custom', call: (handle) => callReshape(reshape, handle) }
  const given = typeof reshape === 'string' ? named[reshape] : reshape
  if (typeof given === 'object' && given !== null && 'permute' in given) {
    const order = given.permute
    const sorted = Array.isArray(order) ? [...(order as readonly number[])].sort((a, b) => a - b) : []
    if (sorted.length > 2 && sorted.every((dim, i) => dim === i)) return { kind: 'permute', order: [...order] }
  } else if (typeof given === 'object' && given !== null && 'tokens' in given) {
    const { tokens, skip = 0 } = given
    const grid: readonly number[] = tokens === 'input' ? [] : tokens
    const fits =
      Array.isArray(grid) && (tokens === 'input' || grid.length > 0) && grid.every((size) => isCount(size, 1))
    if (fits && isCount(skip, 0)) return { kind: 'tokens', grid: [...grid], skip }
  }
  throw new GradCamError(
    'ERR_INVALID_ARGUMENT',
    `${inspect(reshape)} is no reshape. Use 'vit', 'swin', { tokens: 'input' | [rows, columns], skip }, or ` +
      '{ permute: [...] } with each dimension once, or a function.',
  )
}
