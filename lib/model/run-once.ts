import { cancellable, type CallOptions } from '../addon/abort.js'
import type { NativeValue } from '../addon/native-values.js'
import { native } from '../addon/native.js'
import { disposeValue, unwrapValue, wrapValue, type Value } from '../tensor/values.js'
import { toPositional, type Model } from './model.js'

/** The output of a pass without a graph, which leaves the model as it was, unlike a forward of its own. The caller disposes it. */
export async function runOnce(
  model: Model,
  inputs: Value | readonly Value[],
  { signal }: CallOptions = {},
): Promise<Value> {
  const pass = native().pass(model.handle, {
    layers: [],
    scoresOnly: true,
    inputGradient: false,
    guided: 'none',
    execution: 'hooked',
  })
  const late = ({ output, kept }: { output: NativeValue; kept: NativeValue }): void =>
    disposeValue(wrapValue([output, kept]))
  try {
    const { output, kept } = await cancellable(
      signal,
      (ticket) => pass.forward(toPositional(model, inputs).map(unwrapValue), ticket),
      late,
    )
    disposeValue(wrapValue(kept))
    return wrapValue(output)
  } finally {
    pass.dispose()
  }
}
