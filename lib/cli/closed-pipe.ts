/** What happens when standard output cannot be written any more. The code is EPIPE where its reader has left. */
type WhenLost = (code: string | undefined) => void

/** The reader of a pipe may leave early (`gradcam layers … | head`): a command that only prints is done then. */
let whenLost: WhenLost = (code) => process.exit(code === 'EPIPE' ? 0 : 1)
let lost = false

/** Keeps lost output from ending the process as a crash. To be called once. */
export function listenForLostOutput(): void {
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (lost) return
    lost = true
    if (code !== 'EPIPE') process.stderr.write(`gradcam: standard output cannot be written: ${message}\n`)
    whenLost(code)
  })
  // There is no one left to report to.
  process.stderr.on('error', () => {})
}

/** Replaces the exit: for a command that has work to finish. */
export function onLostOutput(then: WhenLost): void {
  whenLost = then
}
