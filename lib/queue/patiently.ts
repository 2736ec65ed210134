import { setTimeout as sleep } from 'node:timers/promises'
import { GradCamError } from '../base/errors.js'

/** How often a server that is away is tried, in milliseconds. */
const tryEvery = 1000

/**
 * Asks the server of a queue until it answers: some drivers wait for one that restarts, others throw their own errors.
 *
 * Throws errors of this package, and the reason of the signal.
 */
export async function patiently<Answer>(ask: () => Promise<Answer>, signal: AbortSignal | undefined): Promise<Answer> {
  for (;;) {
    signal?.throwIfAborted()
    try {
      return await ask()
    } catch (error) {
      if (error instanceof GradCamError) throw error
      await sleep(tryEvery, undefined, signal ? { signal } : {})
    }
  }
}
