import { SingleBar } from 'cli-progress'
import { inOneLine } from '../base/one-line.js'
import { paint } from './paint.js'
import { counted } from '../base/units.js'
import type { ManifestLine } from '../jobs/manifest.js'

/** What a job came to. */
export interface Summary {
  readonly inputs: number
  readonly explained: number
  readonly failed: number
  /** Of these, what earlier runs had done already. */
  readonly before: number
  readonly files: number
  readonly seconds: number
  readonly errors: Readonly<Record<string, number>>
  readonly interrupted: boolean
}

/** Says how far `gradcam batch` is: by a bar on a terminal, by lines elsewhere, or by JSON. */
export interface BatchReport {
  start(text: string, done: ReadonlyMap<string, boolean>): void
  /** The number of inputs, when it is known. */
  total(inputs: number): void
  line(line: ManifestLine): void
  /** What is to be said at the end, once, on stderr. */
  note(text: string): void
  /** Also called when the job ends by an error: takes the bar away. */
  stop(): void
  summary(out: string, interrupted: boolean): Summary
}

/** How often a line tells of the progress where there is no terminal, in milliseconds. */
const plainEvery = 10_000

/** How many failures are listed below the bar; the manifest has them all. */
const listed = 10

type Shown = Pick<BatchReport, 'start' | 'total' | 'line' | 'stop'> & {
  readonly end: (summary: Summary, out: string) => void
}

/** Counts, and shows what it counts in one of three ways. */
export function batchReport(json: boolean): BatchReport {
  const began = performance.now()
  let before = 0
  let files = 0
  const counts = { explained: 0, failed: 0 }
  const errors: Record<string, number> = {}
  const notes = new Set<string>()
  const rate = (): number => (counts.explained + counts.failed - before) / ((performance.now() - began) / 1000)
  const shown = json ? jsonLines() : process.stderr.isTTY ? bar(counts, rate) : plainLines(counts, rate)
  return {
    start(text, done) {
      for (const ok of done.values()) counts[ok ? 'explained' : 'failed']++
      before = done.size
      shown.start(text, done)
    },
    total: (inputs) => shown.total(inputs),
    line(line) {
      const failed = 'error' in line
      counts[failed ? 'failed' : 'explained']++
      if (failed) errors[line.error.code ?? 'other'] = (errors[line.error.code ?? 'other'] ?? 0) + 1
      else files += Object.keys(line.files).length
      shown.line(line)
    },
    note: (text) => void notes.add(text),
    stop: () => shown.stop(),
    summary(out, interrupted) {
      const inputs = counts.explained + counts.failed
      const seconds = (performance.now() - began) / 1000
      const summary = { ...counts, inputs, before, files, seconds, errors, interrupted }
      shown.end(summary, out)
      for (const note of notes) process.stderr.write(`gradcam: ${inOneLine(note)}\n`)
      return summary
    },
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

function jsonLines(): Shown {
  return {
    start: () => {},
    total: () => {},
    line: (line) => say(JSON.stringify(line)),
    stop: () => {},
    end: (summary) => say(JSON.stringify({ summary })),
  }
}

interface Counts {
  readonly explained: number
  readonly failed: number
}

function plainLines(counts: Counts, rate: () => number): Shown {
  let last = performance.now()
  let of = ''
  return {
    start: say,
    total: (inputs) => (of = ` of ${inputs.toLocaleString('en')}`),
    line(line) {
      if ('error' in line) process.stderr.write(`gradcam: ${about(line.input, line.error.message)}\n`)
      if (performance.now() - last < plainEvery) return
      last = performance.now()
      const { explained, failed } = counts
      say(`${explained.toLocaleString('en')}${of} explained, ${failed} failed, ${rate().toFixed(1)}/s`)
    },
    stop: () => {},
    end: sayEnd,
  }
}

function bar(counts: Counts, rate: () => number): Shown {
  const failures: string[] = []
  let total = 0
  const shown = new SingleBar({
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
    gracefulExit: false, // SIGINT is ours: what is in flight is finished first
    etaBuffer: 100,
    barsize: 24,
    format: (options, { progress, eta }, { rate: perSecond, failed }: { rate: string; failed: number }) => {
      const filled = Math.round(Math.min(1, progress) * (options.barsize ?? 24))
      const drawn = '█'.repeat(filled).padEnd(options.barsize ?? 24, '░')
      const done = (counts.explained + counts.failed).toLocaleString('en')
      const parts = total > 0 ? [`${drawn} ${done} of ${total.toLocaleString('en')}`] : [`${done} done`]
      parts.push(perSecond)
      if (total > 0 && Number.isFinite(eta)) parts.push(`${duration(eta)} left`)
      if (failed > 0) parts.push(paint('red', `${failed} failed`, process.stderr))
      return parts.join('  ')
    },
  })
  const update = (): void =>
    shown.update(counts.explained + counts.failed, { rate: `${rate().toFixed(1)}/s`, failed: counts.failed })
  return {
    start(text) {
      say(text)
      shown.start(0, counts.explained + counts.failed, { rate: '', failed: counts.failed })
    },
    total(inputs) {
      total = inputs
      shown.setTotal(inputs)
    },
    line(line) {
      if ('error' in line && failures.length < listed) failures.push(about(line.input, line.error.message))
      update()
    },
    stop: () => shown.stop(),
    end(summary, out) {
      for (const failure of failures) process.stderr.write(`${paint('red', failure, process.stderr)}\n`)
      if (summary.failed - failures.length > 0 && failures.length === listed)
        process.stderr.write(`… all that failed is in the manifest\n`)
      sayEnd(summary, out)
    },
  }
}

function sayEnd({ explained, failed, before, files, seconds, errors, inputs }: Summary, out: string): void {
  const now = inputs - before
  const codes = Object.entries(errors)
    .sort(([, a], [, b]) => b - a)
    .map(([code, count]) => `${code} ${count}`)
  const parts = [
    `${counted(explained, 'image')} explained`,
    `${failed} failed${codes.length ? ` (${codes.join(', ')})` : ''}`,
  ]
  if (before > 0) parts.push(`${before} of these before`)
  say(
    `${parts.join(', ')}; ${counted(files, 'file')} in ${out}, ${seconds.toFixed(1)} s, ${(now / seconds).toFixed(1)}/s`,
  )
}

function about(input: string, message: string): string {
  const name = inOneLine(input)
  return message.includes(name) ? message : `${name}: ${message}`
}

function duration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.ceil(seconds % 60)} s`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}
