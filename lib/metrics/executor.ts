import { cancellable, type CallOptions } from '../addon/abort.js'
import type { TensorHandle } from '../addon/native-values.js'
import { native } from '../addon/native.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { functions, operators } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'

const known = { ...functions, ...operators }

/** Operators by name, on an executor thread: `await on(signal).mul(x, 2)`. */
export type AsyncOperators = {
  readonly [Name in keyof typeof known]: (...args: readonly (Value | undefined)[]) => Promise<Tensor>
}

/** The operators that a tensor has as methods, and those that take several tensors, run on an executor thread. */
export function on(signal: AbortSignal | undefined): AsyncOperators {
  return new Proxy({} as AsyncOperators, {
    get:
      (_, name) =>
      (...args: readonly (Value | undefined)[]) =>
        callOperatorAsync(known[name as keyof typeof known], args, { signal }),
  })
}

const own = async (
  signal: AbortSignal | undefined,
  start: (ticket: number) => Promise<TensorHandle>,
): Promise<Tensor> => Tensor.own(await cancellable(signal, start, (late) => late.dispose()))

/** Images [N, C, H, W] with the pixels replaced where `keep`, bool [N, H, W], is false: see native/core/metrics/impute.h. */
export const impute = (images: Tensor, keep: Tensor, { signal }: CallOptions = {}): Promise<Tensor> =>
  own(signal, (ticket) => native().impute(images.handle, keep.handle, ticket))

/** Normal or uniform numbers of a seed: those of `torch.randn` or `torch.rand` with a CPU generator of it. */
export const draw = (
  kind: 'normal' | 'uniform',
  shape: readonly number[],
  dtype: 'float32' | 'float64',
  seed: number,
  { signal }: CallOptions = {},
): Promise<Tensor> =>
  own(signal, (ticket) =>
    kind === 'normal'
      ? native().randomNormal(shape, dtype, seed, ticket)
      : native().randomUniform(shape, dtype, seed, ticket),
  )
