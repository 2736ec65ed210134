import { inParts } from '../base/in-parts.js'
import { Tensor } from '../tensor/tensor.js'
import { on } from './executor.js'
import type { Scorer } from './scores.js'

/** A changed copy of an image: which image, and a number that says how it is changed. */
export interface Copy {
  readonly image: number
  readonly amount: number
}

/** What the copies of one chunk are made from. */
export interface Chunk {
  /** The images, one for each copy, [B, C, H, W]. */
  readonly images: Tensor
  /** Further tensors, [B, ...], picked like the images. */
  readonly picked: readonly Tensor[]
  /** The amounts as a tensor [B, 1, 1, 1], int64. */
  readonly amounts: Tensor
  readonly copies: readonly Copy[]
}

/**
 * Makes changed copies of images, a chunk at a time, and scores them.
 *
 * @param tensors of all images, [N, ...]: the images first, then further tensors of them
 * @returns a score for each copy, in order
 */
export async function scoreCopies(
  scorer: Scorer,
  tensors: readonly [Tensor, ...Tensor[]],
  copies: readonly Copy[],
  make: (chunk: Chunk) => Promise<Tensor>,
  { batchSize, signal }: { batchSize: number; signal?: AbortSignal | undefined },
): Promise<number[]> {
  const scores: number[] = []
  await inParts(copies.length, scorer.atOnce(batchSize), async (from, to) => {
    const part = copies.slice(from, to)
    const of = part.map(({ image }) => image)
    const { device } = tensors[0]
    using index = Tensor.from(BigInt64Array.from(of, BigInt), [of.length], { device })
    using amounts = Tensor.from(
      BigInt64Array.from(part, ({ amount }) => BigInt(amount)),
      [of.length, 1, 1, 1],
      { device },
    )
    const chosen: Tensor[] = []
    try {
      for (const tensor of tensors) chosen.push(await on(signal).indexSelect(tensor, 0, index))
      const [images, ...picked] = chosen as [Tensor, ...Tensor[]]
      using changed = await make({ images, picked, amounts, copies: part })
      scores.push(...(await scorer.score(changed, of)))
    } finally {
      for (const tensor of chosen) tensor.dispose()
    }
  })
  return scores
}
