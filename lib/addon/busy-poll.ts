import { availableParallelism } from 'node:os'

/** Calls that take no longer are worth it: waking a blocked event loop costs about 40 µs. */
const longestMs = 0.5

const hasAnotherProcessor = availableParallelism() > 1

/**
 * Polls for the end of a call, for half a millisecond at most, before the event loop blocks. The loop keeps turning, so that
 * everything else is served as usual. Used only for calls that follow one as short, such as explanations of small nets in a
 * row, and only where the executor has another processor to run on.
 */
export class BusyPoll {
  #lastMs = Infinity

  async while<Result>(start: () => Promise<Result>): Promise<Result> {
    const begin = performance.now()
    let open = true
    const turn = () => {
      if (open && performance.now() - begin < longestMs) setImmediate(turn)
    }
    try {
      const running = start()
      if (this.#lastMs < longestMs && hasAnotherProcessor) setImmediate(turn)
      return await running
    } finally {
      open = false
      this.#lastMs = performance.now() - begin
    }
  }
}
