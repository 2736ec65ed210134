import { liveTensors } from '../../lib/index.js'

/**
 * How many tensors live once there are no more than `before`, or after five seconds. What a failed or aborted call held goes
 * with its job, a moment after its promise; and what earlier tests left for the garbage collector may go in the meantime.
 */
export async function settledLiveTensors(before: number): Promise<number> {
  for (let tries = 0; liveTensors() > before && tries < 500; tries++)
    await new Promise((resolve) => {
      setTimeout(resolve, 10)
    })
  return liveTensors()
}
