import { expect } from '../base/check.js'
import { native } from './native.js'

/** Options of every call that runs on an executor thread. */
export interface CallOptions {
  /**
   * Stops the call: one that waits never starts, one that runs stops before the next module that the model calls. The
   * promise rejects at once with the signal's reason.
   */
  signal?: AbortSignal | undefined
}

let nextTicket = 1

/**
 * Runs a native call that can be cancelled by its ticket. This is the one place that listens to signals.
 *
 * @param discard frees a result that arrives after the caller has stopped waiting for it
 */
export async function cancellable<Result>(
  signal: AbortSignal | undefined,
  start: (ticket: number) => Promise<Result>,
  discard: (result: Result) => void = () => {},
): Promise<Result> {
  expect.signal(signal)
  if (!signal) return await start(0)
  if (signal.aborted) throw signal.reason
  const ticket = nextTicket++
  return await new Promise((resolve, reject) => {
    const onAbort = () => {
      native().cancel(ticket)
      reject(signal.reason as Error)
    }
    // Before the call starts: where a signal cannot be listened to, nothing must be left running.
    signal.addEventListener('abort', onAbort, { once: true })
    const settled = () => {
      try {
        signal.removeEventListener('abort', onAbort)
      } catch {
        // A signal of the caller's own making: the result counts, not how it forgets its listeners.
      }
    }
    const fail = (error: unknown) => {
      settled()
      reject(error)
    }
    try {
      start(ticket).then((result) => {
        settled()
        if (signal.aborted) discard(result)
        else resolve(result)
      }, fail)
    } catch (error) {
      fail(error)
    }
  })
}
