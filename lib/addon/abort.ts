import { settled } from '../base/callback.js'
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

/** Called with how many runs of the model a call has done, and needs. */
export type OnProgress = (done: number, total: number) => void

/** Options of a call that may count its runs. */
export interface WatchedOptions extends CallOptions {
  /** Called some ten times a second, and never after the call has ended. An error of it ends the call. */
  onProgress?: OnProgress | undefined
}

/** Milliseconds between two looks at how far a call is. */
const lookEvery = 100

let nextTicket = 1

/**
 * Runs a native call that can be cancelled by its ticket. No other function listens to signals.
 *
 * @param discard frees a result that arrives after the caller has stopped waiting for it
 * @param onProgress for a call that counts its runs; an error of it ends the call
 */
export async function cancellable<Result>(
  signal: AbortSignal | undefined,
  start: (ticket: number) => Promise<Result>,
  discard: (result: Result) => void = () => {},
  onProgress?: OnProgress,
): Promise<Result> {
  expect.signal(signal)
  if (!signal && !onProgress) return await start(0)
  if (signal?.aborted) throw signal.reason
  const ticket = nextTicket++
  return await new Promise((resolve, reject) => {
    let stopped = false
    const stop = (reason: unknown) => {
      stopped = true
      native().cancel(ticket)
      reject(reason)
    }
    const onAbort = () => stop(signal?.reason)
    // Before the call starts: where a signal cannot be listened to, nothing must be left running.
    signal?.addEventListener('abort', onAbort, { once: true })
    const unwatch = onProgress ? watch(ticket, onProgress, stop) : () => {}
    const forget = () => {
      unwatch()
      try {
        signal?.removeEventListener('abort', onAbort)
      } catch {
        // A signal of the caller's own making: the result counts, not how it forgets its listeners.
      }
    }
    const fail = (error: unknown) => {
      forget()
      reject(error)
    }
    try {
      start(ticket).then((result) => {
        forget()
        if (stopped) discard(result)
        else resolve(result)
      }, fail)
    } catch (error) {
      fail(error)
    }
  })
}

/** Looks now and then at how many runs a call has done. Returns what ends that. */
function watch(ticket: number, onProgress: OnProgress, fail: (error: unknown) => void): () => void {
  let last = 0
  const look = async (): Promise<void> => {
    const [done, total] = native().runs(ticket) ?? [0, 0]
    if (done === last) return
    last = done
    await settled(onProgress(done, total))
  }
  const timer = setInterval(() => {
    look().catch((error: unknown) => {
      clearInterval(timer)
      fail(error)
    })
  }, lookEvery)
  return () => clearInterval(timer)
}
