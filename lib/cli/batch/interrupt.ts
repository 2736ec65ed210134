/**
 * Listens for SIGINT and SIGTERM. The first aborts the signal, with its name as the reason: what was begun is finished. The
 * second ends the process at once.
 */
export function onInterrupt(): { readonly signal: AbortSignal; readonly dispose: () => void } {
  const stopping = new AbortController()
  const names = ['SIGINT', 'SIGTERM'] as const
  const onSignal = (name: NodeJS.Signals): void => {
    if (stopping.signal.aborted) process.exit(name === 'SIGTERM' ? 143 : 130)
    process.stderr.write(`\ngradcam: finishing what was begun; ${name} once more ends it at once\n`)
    stopping.abort(name)
  }
  for (const name of names) process.on(name, onSignal)
  return {
    signal: stopping.signal,
    dispose: () => {
      for (const name of names) process.off(name, onSignal)
    },
  }
}
