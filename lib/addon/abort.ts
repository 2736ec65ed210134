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
 * Runs a native call that can be cancelled by its ticket.
 *
 * @param discard frees a result that arrives after the caller has stopped waiting for it
 */
export function cancellable<Result>(
  signal: AbortSignal | undefined,
  start: (ticket: number) => Promise<Result>,
  discard: (result: Result) => void = () => {},
): Promise<Result> {
  if (!signal) return start(0)
  if (signal.aborted) return Promise.reject(signal.reason as Error)
  const ticket = nextTicket++
  const running = start(ticket)
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      native().cancel(ticket)
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    const settled = () => signal.removeEventListener('abort', onAbort)
    running.then(
      (result) => {
        settled()
        if (signal.aborted) discard(result)
        else resolve(result)
      },
      (error: unknown) => {
        settled()
        reject(error)
      },
    )
  })
}
