import { setTimeout as sleep } from 'node:timers/promises'
import { GradCamError } from '../base/errors.js'

/** How often a server that is away is tried, in milliseconds. */
const tryEvery = 1000

/**
 * Asks the server of a queue until it answers: some drivers wait for one that restarts, others throw their own errors.
 *
 * Throws errors of this package, and the reason of the signal.
 */
export async function patiently<Answer>(ask: () => Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  for (;;) {
    signal.throwIfAborted()
    try {
      return await orAborted(ask(), signal)
    } catch (error) {
      if (error instanceof GradCamError || signal.aborted) throw error
      await sleep(tryEvery, undefined, { signal }).catch(() => {}) // the reason is thrown above
    }
  }
}

/** Some drivers keep a question for a server that is away, and never answer. */
async function orAborted<Answer>(answer: Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  let stop = (): void => {}
  const aborted = new Promise<never>((_, reject) => (stop = () => reject(signal.reason as Error)))
  signal.addEventListener('abort', stop, { once: true })
  try {
    return await Promise.race([answer, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
