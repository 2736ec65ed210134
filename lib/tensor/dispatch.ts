import { cancellable, type CallOptions } from '../addon/abort.js'
import { native } from '../addon/native.js'
import type { Operator } from './operators.js'
import type { Tensor } from './tensor.js'
import { disposeValue, unwrapValue, wrapValue, type Value } from './values.js'

/** Runs an operator at once, on the calling thread. */
export function callOperator<Result = Tensor>(op: Operator<unknown>, ...args: readonly (Value | undefined)[]): Result {
  return wrapValue(native().operator(op.name, op.overloads, args.map(unwrapValue))) as Result
}

/** Runs an operator on an executor thread: for those that would block the event loop. */
export async function callOperatorAsync<Result = Tensor>(
  op: Operator<unknown>,
  args: readonly (Value | undefined)[],
  { signal }: CallOptions = {},
): Promise<Result> {
  const result = await cancellable(
    signal,
    (ticket) => native().operatorAsync(op.name, op.overloads, args.map(unwrapValue), ticket),
    (late) => disposeValue(wrapValue(late)),
  )
  return wrapValue(result) as Result
}
