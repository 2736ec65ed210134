import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
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

/** Collects what nobody holds any more, and lets the finalizers run, which come after it. */
export async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  for (let i = 0; i < 3; i++) {
    gc()
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
}

/**
 * How many tensors live, without any that earlier tests left to the collector: it would take them whenever it likes, and a
 * later count would be lower for no reason of this test's.
 */
export async function heldTensors(): Promise<number> {
  await collectGarbage()
  return liveTensors()
}
