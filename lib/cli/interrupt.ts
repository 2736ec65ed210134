import { onLostOutput } from './closed-pipe.js'

/** Why a job was stopped, with the exit code that says so. */
export interface Interruption {
  readonly exitCode: number
}

const signals = { SIGINT: 130, SIGTERM: 143 } as const

/**
 * Listens for SIGINT, SIGTERM and the end of standard output. The first of them aborts the signal, with an
 * {@link Interruption} as the reason, so that the inputs in progress are finished. A second SIGINT or SIGTERM ends the
 * process at once, whatever its threads do: by the signal itself, as if there were no listener.
 *
 * @param meanwhile what is done after the first, for people
 */
export function onInterrupt(meanwhile = 'finishing the images in progress'): {
  readonly signal: AbortSignal
  readonly dispose: () => void
} {
  const stopping = new AbortController()
  const names = Object.keys(signals) as (keyof typeof signals)[]
  const onSignal = (name: NodeJS.Signals): void => {
    const exitCode = signals[name as keyof typeof signals]
    if (stopping.signal.aborted) {
      // Not process.exit(), which waits for threads.
      process.removeAllListeners(name)
      process.kill(process.pid, name)
      return
    }
    process.stderr.write(`\ngradcam: ${meanwhile}; ${name} once more ends it at once\n`)
    stopping.abort({ exitCode } satisfies Interruption)
  }
  for (const name of names) process.on(name, onSignal)
  onLostOutput((code) => {
    // 141 is the exit code of a shell for a process that SIGPIPE ended.
    stopping.abort({ exitCode: code === 'EPIPE' ? 141 : 1 } satisfies Interruption)
  })
  return {
    signal: stopping.signal,
    dispose: () => {
      for (const name of names) process.off(name, onSignal)
    },
  }
}
