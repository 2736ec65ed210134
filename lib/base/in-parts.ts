import { GradCamError } from './errors.js'

/** Whether it failed for lack of memory alone, so that less at a time may do. */
export const isOutOfMemory = (error: unknown): boolean =>
  error instanceof GradCamError && error.code === 'ERR_OUT_OF_MEMORY'

/**
 * Does `count` things, at most `most` at a time: `run(from, to)` those from `from` up to, not including, `to`. Where memory
 * runs out parts are halved, down to one thing each. A run that fails must leave everything as it was.
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
      if (to - from === 1 || !isOutOfMemory(error)) throw error
      most = Math.ceil((to - from) / 2)
    }
  }
}
