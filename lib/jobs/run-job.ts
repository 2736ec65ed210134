import { stat } from 'node:fs/promises'
import type { BatchEntry } from '../batch/input.js'
import type { BatchResult } from '../batch/result.js'
import { settled } from '../base/callback.js'
import { expect, isRecord, invalid } from '../base/check.js'
import { notAFile } from '../images/read-source.js'
import { ObjectImage } from '../storage/object-image.js'
import { isStorageFailure } from '../storage/storage-error.js'
import { isHopeless, isSameRefusal } from './hopeless.js'
import type { JobClaim, JobEntry, JobExplainer, JobPlan, JobSource, JobStore, ResultSink } from './job.js'
import { toErrorLine, toResultLine, type InputFile, type JobLine, type SinkFiles } from './job-line.js'
import type { JobSpec } from './job-spec.js'
import { JobTally, type JobCounts, type JobSummary } from './tally.js'

/** Sent once, when a job begins. */
export interface JobStart extends JobPlan, JobCounts {
  /** See {@link JobClaim.changed}; absent where there are none. */
  readonly changed?: number
}

/** Sent after every input that was recorded. */
export interface JobProgress extends JobCounts {
  readonly line: JobLine
}

/** Something that is probably a mistake, but does not end the job. */
export type JobWarning = {
  readonly message: string
} & (
  | {
      /** There are more or fewer labels than the model has outputs, so a label may stand at another class than its own. */
      readonly code: 'LABEL_COUNT'
      readonly details: { readonly labels: number; readonly outputs: number }
    }
  | {
      /** The layer runs several times in a pass, and the job does not say which call is explained: it is the last. */
      readonly code: 'LAYER_CALLS'
      readonly details: { readonly layer: string; readonly calls: number }
    }
)

/** The parts of a job, each an interface with an implementation for files and an own model. */
export interface RunJobOptions {
  /** Where the inputs come from. */
  source: JobSource
  /** Where it is kept what is done. */
  store: JobStore
  /** Where the files of results go. */
  sink: ResultSink
  /** What explains the inputs. */
  explainer: JobExplainer
  /**
   * Ends the job early: no further input is taken, those in progress are finished and recorded, and `runJob` resolves with
   * `interrupted` true. The job can be resumed.
   */
  signal?: AbortSignal | undefined
  /** Called once, when everything is ready and before the first input is taken. */
  onStart?: ((start: JobStart) => void) | undefined
  /** Called after every input that was recorded. */
  onProgress?: ((progress: JobProgress) => void) | undefined
  /** Called at most once for each code. */
  onWarning?: ((warning: JobWarning) => void) | undefined
}

/** The functions that each part must have. */
const functionsOf = {
  source: ['entries'],
  store: ['claim', 'record', 'close'],
  sink: ['write'],
  explainer: ['open', 'explain', 'close'],
} as const

function checkParts(spec: JobSpec, options: RunJobOptions): RunJobOptions {
  expect.options(spec, 'spec')
  const { signal, onStart, onProgress, onWarning } = expect.options(options)
  expect.signal(signal)
  for (const [name, given] of Object.entries({ onStart, onProgress, onWarning }))
    if (given !== undefined) expect.function(name, given as () => void)
  for (const [name, functions] of Object.entries(functionsOf)) {
    const part: unknown = options[name as keyof typeof functionsOf]
    if (!isRecord(part) || functions.some((each) => typeof part[each] !== 'function'))
      throw invalid(name, `an object with the function${functions.length > 1 ? 's' : ''} ${functions.join(', ')}`, part)
  }
  return options
}

/**
 * Runs a job: takes the inputs of a source that the store does not know as done, explains them, gives the results to the
 * sink and records what became of each. Where a run ends early, by its signal, an error or the death of the process, the
 * next run goes on from there; every input has one line in the store in the end.
 *
 * ```ts
 * const spec = await makeJobSpec({ model: 'model.pt', layer: 'features' })
 * const summary = await runJob(spec, {
 *   source: await FileSource.open(['photos'], { exclude: 'maps' }),
 *   store: new FolderStore('maps', { resume: true }),
 *   sink: new FolderSink('maps'),
 *   explainer: new ModelExplainer(),
 * })
 * ```
 *
 * @returns the counts of this run. An input that fails does not end the job: its line holds its error.
 * @throws what the parts throw when they open, close, read entries or record lines; the error of the first input where it
 *   is about the model or the job (e.g. ERR_LAYER_OUTPUT, ERR_TARGET_OUT_OF_RANGE for the target of the job); an error that
 *   is fatal to the sink; the reason of {@link JobClaim.lost}
 */
export async function runJob(spec: JobSpec, options: RunJobOptions): Promise<JobSummary> {
  const began = performance.now()
  const { store, sink, explainer } = checkParts(spec, options)
  await store.check?.(spec)
  const plan = await explainer.open(spec)
  const closing = [() => explainer.close()]
  let run: JobRun | undefined
  try {
    const claim = await store.claim(spec)
    // Another process has what the job wrote where its claim is lost.
    const isLost = (): boolean => claim.lost?.aborted ?? false
    const isEmpty = (): boolean => !isLost() && (run === undefined || (run.failed && run.recorded === 0))
    closing.push(() => (isEmpty() && store.discard ? store.discard() : store.close()))
    await sink.open?.(spec)
    closing.splice(1, 0, async () => {
      if (!isLost()) await sink.close?.()
    })
    run = new JobRun(spec, { ...options, claim, plan })
    await run.start()
    claim.lost?.throwIfAborted() // another process may be at work on the job: there is nothing to sum up
  } catch (error) {
    if (run) run.failed = true
    await closeAll(closing).catch(() => {}) // the first error says more
    throw error
  }
  await closeAll(closing)
  return run.summary((performance.now() - began) / 1000)
}

/** Closes every part, also where one of them throws. */
async function closeAll(closing: readonly (() => Promise<void>)[]): Promise<void> {
  const errors: unknown[] = []
  for (const close of closing) await close().catch((error: unknown) => errors.push(error))
  if (errors.length > 0) throw errors[0]
}

type RunParts = RunJobOptions & { readonly claim: JobClaim; readonly plan: JobPlan }

/** One run of a job, from the first input to the last. */
class JobRun {
  /** Set where it ended with an error. */
  failed = false
  /** Lines that the store has taken. */
  recorded = 0
  readonly #stop: AbortSignal
  /** The inputs in progress, by id. */
  readonly #entries = new Map<string, JobEntry & { readonly inputFile?: InputFile }>()
  readonly #tally = new JobTally()
  readonly #warned = new Set<JobWarning['code']>()

  constructor(
    private readonly spec: JobSpec,
    private readonly parts: RunParts,
  ) {
    const { signal, claim } = parts
    this.#stop = AbortSignal.any([signal, claim.lost].filter((one) => one !== undefined))
    for (const ok of claim.done.values()) this.#tally.before(ok)
  }

  async start(): Promise<void> {
    const { explainer, sink, plan } = this.parts
    const { changed } = this.parts.claim
    await settled(this.parts.onStart?.({ ...plan, ...this.#tally.counts, ...(changed && { changed }) }))
    const results = explainer.explain<SinkFiles>(this.#inputs(), (result) => sink.write(result))
    let explained = 0
    for await (using result of results) {
      const entry = this.#entries.get(result.id) as JobEntry & { readonly inputFile?: InputFile }
      if (result.ok) explained++
      else if (sink.isFatal?.(result.error) || isStorageFailure(result.error)) throw result.error
      else if (explained === 0 && isHopeless(result.error, entry, this.spec)) throw result.error
      else if (explained === 0 && isSameRefusal(result.error, plan.refused)) throw plan.refused
      await this.#checkLabels(result)
      await this.#checkCalls(result)
      await this.#record(
        result.ok
          ? toResultLine(result, { ...entry, ...fetchedFile(entry) }, this.spec, plan.layer)
          : toErrorLine(entry, result.error, result.sha256),
      )
    }
  }

  summary(seconds: number): JobSummary {
    return this.#tally.summary(seconds, this.parts.signal?.aborted ?? false)
  }

  async #record(line: JobLine): Promise<void> {
    await this.parts.store.record(line)
    this.recorded++
    this.#entries.delete(line.id)
    this.#tally.add(line)
    await settled(this.parts.onProgress?.({ line, ...this.#tally.counts }))
  }

  async *#inputs(): AsyncGenerator<BatchEntry, undefined> {
    for await (const entry of untilAborted(this.parts.source.entries(this.parts.plan), this.#stop)) {
      if (this.parts.claim.done.has(entry.id)) continue
      const { id, input, source = input, target } = entry
      const path = typeof source === 'string' ? source : null
      const found = path === null ? null : await stat(path).catch(() => null)
      const error = entry.error ?? (found && notAFile(path as string, found))
      if (error) {
        await this.#record(toErrorLine(entry, error, null))
        continue
      }
      // Looked at before it is read: what changes in between has another time, and is seen when the job is resumed.
      const inputFile = found?.isFile() && { inputFile: { bytes: found.size, modified: found.mtimeMs } }
      this.#entries.set(id, { ...entry, ...inputFile })
      yield { id, source, ...(target !== undefined && { target }) }
    }
  }

  async #checkLabels(result: BatchResult<SinkFiles>): Promise<void> {
    const labels = this.spec.labels?.length
    if (labels === undefined || !result.ok || result.outputs === 0 || result.outputs === labels) return
    const { outputs } = result
    const message = `There are ${labels} labels for the model's ${outputs} classes. The first label is taken for class 0.`
    await this.#warn({ code: 'LABEL_COUNT', message, details: { labels, outputs } })
  }

  async #checkCalls(result: BatchResult<SinkFiles>): Promise<void> {
    const { layer } = this.parts.plan
    if (!result.ok || layer === null || (result.calls ?? 1) < 2 || this.spec.call !== undefined) return
    const calls = result.calls as number
    const message = `Layer '${layer}' runs ${calls} times in a pass. Its last call is explained.`
    await this.#warn({ code: 'LAYER_CALLS', message, details: { layer, calls } })
  }

  async #warn(warning: JobWarning): Promise<void> {
    if (this.#warned.has(warning.code)) return
    this.#warned.add(warning.code)
    await settled(this.parts.onWarning?.(warning))
  }
}

/** What the storage told of an object when it was fetched. */
function fetchedFile({ source }: JobEntry): { readonly inputFile?: InputFile } {
  return source instanceof ObjectImage && source.facts ? { inputFile: source.facts } : {}
}

/** Ends as soon as the signal is aborted, even while it waits for an entry. */
async function* untilAborted<T>(entries: AsyncIterable<T>, stop: AbortSignal): AsyncGenerator<T, undefined> {
  const source = entries[Symbol.asyncIterator]()
  let onAbort = (): void => {}
  const stopped = new Promise<null>((resolve) => (onAbort = () => resolve(null)))
  stop.addEventListener('abort', onAbort, { once: true })
  try {
    while (!stop.aborted) {
      const next = await Promise.race([source.next(), stopped])
      if (next === null || next.done) return
      yield next.value
    }
  } finally {
    stop.removeEventListener('abort', onAbort)
    const returned = (async () => source.return?.())()
    // A generator that waits for its next entry answers return() only after that, which may be never.
    if (stop.aborted) returned.catch(() => {})
    else await returned
  }
}
