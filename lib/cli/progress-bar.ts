import { statusLine } from './status-line.js'

/** A bar on a terminal that shows how much of a job is done. */
export interface ProgressBar {
  /** Shows what is done, with notes after it. A narrow terminal lacks the first of them; the last one matters most. */
  readonly update: (done: number, notes: readonly string[]) => void
  /** The number of things to do, when it is known. */
  readonly setTotal: (total: number) => void
  readonly stop: () => void
}

const cells = 24

/** A shorter bar says nothing, and is left out. */
const fewestCells = 6

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
    update(done, notes) {
      const now = clock()
      if (now - drawn < drawEvery) return
      drawn = now
      const count = done.toLocaleString('en')
      const width = (stream.columns || 80) - 1
      if (total === 0) return line.show(inWidth(width, [`${count} done`], notes))
      const seconds = (((now - began) / 1000) * (total - done)) / (done - begun)
      const left = Number.isFinite(seconds) ? [`${duration(Math.max(0, seconds))} left`] : []
      const text = inWidth(width, [`${count} of ${total.toLocaleString('en')}`, ...left], notes)
      const room = Math.min(cells, width - text.length - 1)
      line.show(room < fewestCells ? text : `${barOf(done / total, room)} ${text}`)
    },
    setTotal: (count) => void (total = count),
    stop: () => line.clear(),
  }
}

/** The parts in a line, without the first notes where they do not all fit. */
function inWidth(width: number, parts: readonly string[], notes: readonly string[]): string {
  for (let from = 0; from <= notes.length; from++) {
    const text = [...parts, ...notes.slice(from)].join('  ')
    if (text.length <= width || from === notes.length) return text
  }
  return parts.join('  ')
}

/** A bar of blocks for a share from 0 to 1. */
export function barOf(share: number, length = cells): string {
  return '█'.repeat(Math.round(length * Math.min(1, share))).padEnd(length, '░')
}

/** A time in seconds, in its two largest units. */
export function duration(seconds: number): string {
  const whole = Math.ceil(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}
