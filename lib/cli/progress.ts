import { BuildShare } from './build-share.js'
import { barOf, duration } from './progress-bar.js'
import { statusLine } from './status-line.js'

/** Seconds between two lines where the stream is not a terminal, and between two drawings where it is one. */
const interval = { lines: 15, drawings: 1 }

/**
 * Shows how far a build is, as a share with the time that is left: on a terminal in one line that is written again and again, elsewhere in
 * a line now and then.
 *
 * @param clock gives milliseconds
 */
export function buildProgress(
  stream: NodeJS.WriteStream,
  verbose: boolean,
  clock: () => number = () => performance.now(),
) {
  const status = statusLine(stream)
  const now = (): number => clock() / 1000
  let share: BuildShare | undefined
  let rest = ''
  let name = ''
  let printed = -Infinity
  const show = (): void => {
    const steps = share?.steps
    if (!share || !steps) return
    const left = share.left === null ? [] : [`${duration(share.left)} left`]
    const count = `${steps.done} of ${steps.total}`
    if (status.isShown) return status.show([`${barOf(steps.done / steps.total)} ${count}`, ...left, name].join('  '))
    if (now() - printed < interval.lines) return
    printed = now()
    const percent = Math.round((100 * steps.done) / steps.total)
    stream.write(`  ${[`${percent} % compiled (${count})`, ...left.map((text) => `about ${text}`)].join(', ')}\n`)
  }
  // Between two steps the time that is left goes on falling.
  const timer = status.isShown && !verbose ? setInterval(show, interval.drawings * 1000).unref() : undefined
  return {
    say: (line: string): void => {
      status.clear()
      stream.write(`${line}\n`)
    },
    /** The compiler begins now. */
    onCompile: (steps: number, jobs: number): void => {
      share = new BuildShare(now)
      share.plan(steps, jobs)
    },
    onOutput: (text: string): void => {
      if (verbose) {
        stream.write(text)
        return
      }
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const file = share?.read(line) ?? null
        if (file === null) continue
        name = file
        show()
      }
    },
    end: (): void => {
      clearInterval(timer)
      status.clear()
    },
  }
}
