import { setImmediate } from 'node:timers/promises'
import type { CallOptions } from '../addon/abort.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { functions } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'

/** Copying this much takes about a millisecond, which does not delay the event loop noticeably. */
const elementsAtOnce = 1 << 20

/** `Tensor.from`, which lets the event loop run between parts of a large array. */
export async function tensorInBands(
  data: Float32Array,
  shape: readonly number[],
  options: CallOptions,
): Promise<Tensor> {
  if (data.length <= elementsAtOnce) return Tensor.from(data, shape)
  const bands: Tensor[] = []
  try {
    for (let start = 0; start < data.length; start += elementsAtOnce) {
      options.signal?.throwIfAborted()
      if (start > 0) await setImmediate()
      const band = data.subarray(start, start + elementsAtOnce)
      bands.push(Tensor.from(band, [band.length]))
    }
    using whole = await callOperatorAsync(functions.cat, [bands, 0], options)
    return whole.reshape(shape)
  } finally {
    for (const band of bands) band.dispose()
  }
}
