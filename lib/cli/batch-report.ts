import { inOneLine } from '../base/one-line.js'
import { counted } from '../base/units.js'
import type { JobErrorLine } from '../jobs/job-line.js'
import type { JobProgress } from '../jobs/run-job.js'
import type { JobCounts, JobSummary } from '../jobs/tally.js'
import { hintOf } from './hints.js'
import { paint } from './paint.js'
import { progressBar, type ProgressBar } from './progress-bar.js'

/** Shows how far `gradcam batch` is: by a bar on a terminal, by lines elsewhere, or by JSON. */
export interface BatchReport {
  /** The text says what the job does. */
  readonly start: (text: string, counts: JobCounts) => void
  /** The number of inputs, when it is known. */
  readonly total: (inputs: number) => void
  readonly line: (progress: JobProgress) => void
  /** Something to be printed at the end, on stderr. */
  readonly note: (text: string) => void
  /** Also called when the job ends by an error: removes the bar. */
  readonly stop: () => void
  readonly summary: (summary: JobSummary, out: string) => void
}

/** How often progress is printed where there is no terminal, in milliseconds. */
const plainEvery = 10_000

/** How many failures are listed below the bar; the manifest has all of them. */
const listed = 10

type View = Omit<BatchReport, 'note'>

export function batchReport(json: boolean): BatchReport {
  const notes: string[] = []
  const view = json ? jsonLines() : process.stderr.isTTY ? bar() : plainLines()
  return {
    ...view,
    note: (text) => void notes.push(text),
    summary(summary, out) {
      view.summary(summary, out)
      for (const note of notes) process.stderr.write(`gradcam: ${inOneLine(note)}\n`)
    },
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

function jsonLines(): View {
  return {
    start: () => {},
    total: () => {},
    line: ({ line }) => say(JSON.stringify(line)),
    stop: () => {},
    summary: (summary) => say(JSON.stringify({ summary })),
  }
}

/** Inputs a second, from the start of the job. */
function meter(before: JobCounts): (counts: JobCounts) => string {
  const began = performance.now()
  const done = (counts: JobCounts): number => counts.explained + counts.failed
  return (counts) => `${((1000 * (done(counts) - done(before))) / (performance.now() - began)).toFixed(1)}/s`
}

function plainLines(): View {
  let last = performance.now()
  let of = ''
  let rate: ReturnType<typeof meter> | undefined
  return {
    start(text, counts) {
      rate = meter(counts)
      say(text)
    },
    total: (inputs) => void (of = ` of ${inputs.toLocaleString('en')}`),
    line({ line, ...counts }) {
      if ('error' in line) process.stderr.write(`gradcam: ${failureText(line)}\n`)
      if (performance.now() - last < plainEvery) return
      last = performance.now()
      say(`${counts.explained.toLocaleString('en')}${of} explained, ${counts.failed} failed, ${rate?.(counts)}`)
    },
    stop: () => {},
    summary: saySummary,
  }
}

function bar(): View {
  const failures: string[] = []
  let drawn: ProgressBar | undefined
  let rate: ReturnType<typeof meter> | undefined
  return {
    start(text, counts) {
      say(text)
      rate = meter(counts)
      drawn = progressBar(process.stderr, counts.explained + counts.failed)
    },
    total: (inputs) => drawn?.setTotal(inputs),
    line({ line, ...counts }) {
      if ('error' in line && failures.length < listed) failures.push(failureText(line))
      const failed = counts.failed > 0 ? [`${counts.failed.toLocaleString('en')} failed`] : []
      drawn?.update(counts.explained + counts.failed, [...(rate ? [rate(counts)] : []), ...failed])
    },
    stop: () => drawn?.stop(),
    summary(summary, out) {
      for (const failure of failures) process.stderr.write(`${paint('red', failure, process.stderr)}\n`)
      if (summary.failed - failures.length > 0 && failures.length === listed)
        process.stderr.write(`… the manifest lists all failures\n`)
      saySummary(summary, out)
    },
  }
}

function saySummary(
  { explained, failed, before, files, seconds, errors, inputs, conditions, precisions, notes, warnings }: JobSummary,
  out: string,
): void {
  const now = inputs - before
  const codes = Object.entries(errors)
    .sort(([, a], [, b]) => b - a)
    .map(([code, count]) => `${code} ${count}`)
  const parts = [
    `${counted(explained, 'image')} explained`,
    `${failed} failed${codes.length ? ` (${codes.join(', ')})` : ''}`,
  ]
  const empty = Object.entries(conditions).map(([state, count]) => `${count} ${state}`)
  if (empty.length > 0) parts.push(`of the maps ${empty.join(', ')}`)
  for (const [dtype, count] of Object.entries(precisions ?? {}))
    parts.push(`${count} in ${dtype}, as --precision auto chose`)
  if (before > 0) parts.push(`${before} of these before`)
  say(
    `${parts.join(', ')}; ${counted(files, 'file')} in ${out}, ${seconds.toFixed(1)} s, ${(now / seconds).toFixed(1)}/s`,
  )
  for (const { message } of notes) process.stderr.write(`gradcam: ${inOneLine(message)}\n`)
  for (const warning of warnings) process.stderr.write(`gradcam: warning: ${inOneLine(warning)}\n`)
}

/** Names the input and what was wrong with it. */
function failureText({ input, error }: JobErrorLine): string {
  const name = inOneLine(input)
  const text = error.message.includes(name) ? error.message : `${name}: ${error.message}`
  return `${text}${hintOf(error)}`
}
