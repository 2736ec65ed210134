import { setImmediate } from 'node:timers/promises'
import type { CallOptions } from '../addon/abort.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { functions } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import type { Pixels } from './decode.js'

/** Copying this much takes about a millisecond, so the event loop is not blocked. */
const bytesAtOnce = 4 << 20

/** The pixels as uint8 [1, 3, H, W], the channels of a pixel side by side in memory. */
export async function pixelsToTensor({ data, height, width }: Pixels, options: CallOptions): Promise<Tensor> {
  const rowBytes = width * 3
  const rowsAtOnce = Math.max(1, Math.floor(bytesAtOnce / rowBytes))
  const bands: Tensor[] = []
  try {
    for (let row = 0; row < height; row += rowsAtOnce) {
      options.signal?.throwIfAborted()
      if (row > 0) await setImmediate()
      const rows = Math.min(rowsAtOnce, height - row)
      const bytes = data.subarray(row * rowBytes, (row + rows) * rowBytes)
      bands.push(Tensor.from(bytes, [1, rows, width, 3]))
    }
    using whole = await callOperatorAsync(functions.cat, [bands, 1], options)
    return whole.permute([0, 3, 1, 2])
  } finally {
    for (const band of bands) band.dispose()
  }
}
