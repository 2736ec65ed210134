import { statusLine } from './status-line.js'

/** A bar on a terminal that shows how much of a job is done. */
export interface ProgressBar {
  /** Shows what is done, with a note after it. */
  readonly update: (done: number, note: string) => void
  /** The number of things to do, when it is known. */
  readonly setTotal: (total: number) => void
  readonly stop: () => void
}

const cells = 24

/** Milliseconds between two drawings. */
const drawEvery = 100

/**
 * @param begun how many are done when it begins: the time that is left is estimated from the others
 * @param clock gives milliseconds
 */
export function progressBar(
  stream: NodeJS.WriteStream,
  begun: number,
  clock: () => number = () => performance.now(),
): ProgressBar {
  const line = statusLine(stream)
  const began = clock()
  let total = 0
  let drawn = -Infinity
  return {
    update(done, note) {
      const now = clock()
      if (now - drawn < drawEvery) return
      drawn = now
      const count = done.toLocaleString('en')
      if (total === 0) return line.show([`${count} done`, note].join('  '))
      const seconds = (((now - began) / 1000) * (total - done)) / (done - begun)
      const left = Number.isFinite(seconds) ? [`${duration(Math.max(0, seconds))} left`] : []
      line.show([`${barOf(done / total)} ${count} of ${total.toLocaleString('en')}`, ...left, note].join('  '))
    },
    setTotal: (count) => void (total = count),
    stop: () => line.clear(),
  }
}

/** A bar of blocks for a share from 0 to 1. */
export function barOf(share: number): string {
  return '█'.repeat(Math.round(cells * Math.min(1, share))).padEnd(cells, '░')
}

/** A time in seconds, in its two largest units. */
export function duration(seconds: number): string {
  const whole = Math.ceil(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}
