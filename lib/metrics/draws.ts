import type { CallOptions } from '../addon/abort.js'
import { Tensor } from '../tensor/tensor.js'
import { draw, on } from './executor.js'

/** What is drawn for each sample of a metric: the numbers of sample s are those of seed + s, the same for all images. */
export interface Draws {
  readonly kind: 'normal' | 'uniform'
  /** The sizes of one sample, which stands for an image or a channel of it. */
  readonly sizes: readonly number[]
  readonly dtype: 'float32' | 'float64'
  readonly seed: number
}

/** The numbers of these samples, [samples.length, ...sizes], each drawn once however often it is listed; for the caller to dispose. */
export async function drawSamples(
  { kind, sizes, dtype, seed }: Draws,
  samples: readonly number[],
  { signal }: CallOptions,
): Promise<Tensor> {
  const different = [...new Set(samples)]
  const drawn: Tensor[] = []
  try {
    for (const sample of different) drawn.push(await draw(kind, [1, ...sizes], dtype, seed + sample, { signal }))
    using all = await on(signal).cat(drawn)
    using index = Tensor.from(
      BigInt64Array.from(samples, (sample) => BigInt(different.indexOf(sample))),
      [samples.length],
    )
    return await on(signal).indexSelect(all, 0, index)
  } finally {
    for (const one of drawn) one.dispose()
  }
}
