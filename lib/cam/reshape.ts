import type { NativeReshape } from '../addon/native-pass.js'
import type { TensorHandle } from '../addon/native-values.js'
import { invalid, isRecord, show, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'

/**
 * How the output of a layer becomes [N, C, h, w], where it has another shape.
 *
 * - `'vit'`: [N, 1 + h w, C], a class token before the patches; the same as `{ tokens: 'input', skip: 1 }`
 * - `'swin'`: [N, h, w, C]; the same as `{ permute: [0, 3, 1, 2] }`
 * - `tokens`: [N, skip + h w, C]: `skip` tokens (0 by default) that are not spatial positions, then positions row by row in a
 *   grid of [rows, columns], or of the proportions of the model's input
 * - `permute`: the order of dimensions that makes [N, C, ...]
 * - a function of the activation, which is called once more with its gradient, and so may move, drop or add up elements but
 *   not depend on their values. It runs on the JavaScript thread while the pass waits, must be synchronous, and tensors that
 *   it makes besides its result are disposed. Not for Ablation-CAM, which has to invert it
 */
export type Reshape =
  | 'vit'
  | 'swin'
  | { readonly tokens: 'input' | readonly [rows: number, columns: number]; readonly skip?: number }
  | { readonly permute: readonly number[] }
  | ((tensor: Tensor) => Tensor)

/** The same as plain data. */
export type PlainReshape = Exclude<Reshape, (tensor: Tensor) => Tensor>

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
      `The reshape function must return a Tensor [N, C, h, w], synchronously, but returned ${show(shaped)}.`,
    )
  }).handle
}

/** A reshape as the native side takes it. */
export function toNativeReshape(reshape: Reshape | undefined): NativeReshape | undefined {
  if (reshape === undefined) return undefined
  if (typeof reshape === 'function') return { kind: 'custom', call: (handle) => callReshape(reshape, handle) }
  const given: unknown = typeof reshape === 'string' && Object.hasOwn(named, reshape) ? named[reshape] : reshape
  if (isRecord(given) && 'permute' in given) {
    const order: readonly unknown[] = toList(given['permute']) ?? []
    const isPermutation = order.every((dim) => isCount(dim, 0) && (dim as number) < order.length)
    if (order.length > 2 && isPermutation && new Set(order).size === order.length)
      return { kind: 'permute', order: order as number[] }
  } else if (isRecord(given) && 'tokens' in given) {
    const { tokens, skip = 0 } = given
    const grid = tokens === 'input' ? [] : toList(tokens)
    const fits = grid?.every((size) => isCount(size, 1)) && (tokens === 'input' || grid.length > 0)
    if (fits && isCount(skip, 0)) return { kind: 'tokens', grid: grid as number[], skip: skip as number }
  }
  const expected =
    "'vit', 'swin', { tokens: 'input' | [rows, columns], skip }, { permute: [...] } with each dimension once, or a function"
  throw invalid('reshape', expected, reshape)
}
