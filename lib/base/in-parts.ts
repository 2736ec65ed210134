import { GradCamError } from './errors.js'

/** Whether it failed for lack of memory alone, so that less at a time may do. */
export const isOutOfMemory = (error: unknown): boolean =>
  error instanceof GradCamError && error.code === 'ERR_OUT_OF_MEMORY'

/** Whether the model does not give a row for each image of a batch of this size. */
export const isBatchSize = (error: unknown): boolean => error instanceof GradCamError && error.code === 'ERR_BATCH_SIZE'

/** Whether less at a time may do: memory ran out, or the model, or LibTorch, does not take a batch of this size. */
export const mayRunInParts = (error: unknown): boolean =>
  error instanceof GradCamError && ['ERR_OUT_OF_MEMORY', 'ERR_BATCH_SIZE', 'ERR_TORCH'].includes(error.code)

/**
 * Does `count` things, at most `most` at a time: `run(from, to)` those from `from` up to, not including, `to`. Where memory
 * runs out, or the model does not take as many, parts are halved, down to one thing each. A run that fails must leave everything as it was.
 */
export async function inParts(
  count: number,
  most: number,
  run: (from: number, to: number) => Promise<void>,
): Promise<void> {
  for (let from = 0; from < count;) {
    const to = Math.min(from + most, count)
    try {
      await run(from, to)
      from = to
    } catch (error) {
      if (to - from === 1 || !mayRunInParts(error)) throw error
      most = Math.ceil((to - from) / 2)
    }
  }
}
