import { counted } from '../base/units.js'
import { inOneLine } from '../base/one-line.js'
import type { JobHandle } from '../queue/job-handle.js'
import type { QueueProgress } from '../queue/coordinate.js'
import { readQueueUrl } from '../queue/queue-url.js'
import type { JobSummary } from '../jobs/tally.js'
import { batchReport } from './batch-report.js'
import type { Interruption } from './interrupt.js'
import { progressBar, type ProgressBar } from './progress-bar.js'

/** How often progress is printed without a terminal, in milliseconds. */
const plainEvery = 10_000

/** How often it is said that no worker is there, in milliseconds: one may be about to start. */
const lonelyAfter = 5_000

/** Shows a job of a queue until it ends, or until the signal. @returns the exit code */
export async function watchJob(
  job: JobHandle,
  { url, out, json, signal }: { url: string; out: string; json: boolean; signal: AbortSignal },
): Promise<number> {
  const view = json ? null : process.stderr.isTTY ? bar() : plain()
  const lonely = setTimeout(() => void sayIfLonely(job, url), lonelyAfter)
  let summary: JobSummary
  try {
    summary = await job.result({ onProgress: (progress, workers) => view?.show(progress, workers) })
  } catch (error) {
    if (!signal.aborted) throw error
    view?.stop()
    process.stderr.write(`gradcam: the job goes on without this command.\n${waysBack(job.name, url)}`)
    return (signal.reason as Interruption).exitCode
  } finally {
    clearTimeout(lonely)
    view?.stop()
  }
  batchReport(json).summary(summary, out)
  if (summary.interrupted)
    process.stderr.write('gradcam: the job was cancelled. To continue: the same call with --resume\n')
  return summary.interrupted ? 1 : summary.failed > 0 ? 3 : 0
}

/** How to come back to a job. */
export function waysBack(name: string, url: string): string {
  const { shown } = readQueueUrl(url)
  return ['watch', 'status', 'cancel'].map((verb) => `  gradcam job ${verb} ${name} --queue ${shown}\n`).join('')
}

async function sayIfLonely(job: JobHandle, url: string): Promise<void> {
  const status = await job.status().catch(() => null)
  if (status?.state !== 'waiting') return
  const { shown } = readQueueUrl(url)
  process.stderr.write(
    `gradcam: no worker has taken the job yet. To start one: gradcam worker --queue ${shown} --root DIR\n`,
  )
}

interface View {
  readonly show: (progress: QueueProgress, workers: number) => void
  readonly stop: () => void
}

function rateOf(): (progress: QueueProgress) => string {
  let first: { readonly at: number; readonly done: number } | undefined
  return ({ explained, failed }) => {
    const now = { at: performance.now(), done: explained + failed }
    first ??= now
    const rate = (1000 * (now.done - first.done)) / (now.at - first.at)
    return Number.isFinite(rate) ? `${rate.toFixed(1)}/s` : ''
  }
}

function bar(): View {
  let drawn: ProgressBar | undefined
  const rate = rateOf()
  return {
    show(progress, workers) {
      const { explained, failed, inputs, listed } = progress
      drawn ??= progressBar(process.stderr, explained + failed)
      if (listed) drawn.setTotal(inputs)
      const speed = rate(progress)
      drawn.update(explained + failed, [
        ...(speed === '' ? [] : [speed]),
        counted(workers, 'worker'),
        ...(failed > 0 ? [`${failed.toLocaleString('en')} failed`] : []),
      ])
    },
    stop: () => drawn?.stop(),
  }
}

function plain(): View {
  let last = performance.now()
  const rate = rateOf()
  return {
    show(progress, workers) {
      const now = performance.now()
      const text = rate(progress)
      if (now - last < plainEvery) return
      last = now
      process.stdout.write(`${describeProgress(progress)}, ${counted(workers, 'worker')}, ${text}\n`)
    },
    stop: () => {},
  }
}

/** How far a job is, in a line. */
export function describeProgress({ explained, failed, inputs, listed, chunks, chunksDone }: QueueProgress): string {
  const of = `${inputs.toLocaleString('en')}${listed ? '' : ' found so far'}`
  return inOneLine(
    `${explained.toLocaleString('en')} of ${of} explained, ${failed} failed, ${chunksDone} of ${counted(chunks, 'chunk')} done`,
  )
}
