import { randomUUID } from 'node:crypto'
import { GradCamError } from '../base/errors.js'
import type { JobEntry } from '../jobs/job.js'
import type { JobLine } from '../jobs/job-line.js'
import type { JobSpec } from '../jobs/job-spec.js'
import { runJob } from '../jobs/run-job.js'
import { ChunkStore } from './chunk-store.js'
import type { Isolate } from './isolate.js'
import type { ModelCache } from './model-cache.js'
import { readQueuedSpec } from './read-spec.js'
import type { Roots } from './roots.js'
import type { WorkObserver } from './observer.js'
import { isOfOtherVersions, type OtherVersions, type Versions } from './versions.js'
import { toEntry, type ChunkTask, type TaskInput } from './task.js'
import { observedSink, observeRecords, timed } from './observed.js'
import { openWorkspace } from './open-workspace.js'
import type { Workspace } from './workspace.js'

/** What a worker has for its chunks. */
export interface ChunkTools {
  readonly roots: Roots
  readonly models: ModelCache
  /** Explains inputs in a process of their own, one at a time; null where that is not possible. */
  readonly isolate: Isolate | null
  readonly versions: Versions
  readonly otherVersions: OtherVersions
  readonly observer: WorkObserver
}

/** How one attempt at a chunk ends early. */
export interface ChunkSignals {
  /** Aborted when another worker has the chunk: everything stops at once. */
  readonly lost: AbortSignal
  /** Aborted when the worker ends: the inputs in progress are finished. */
  readonly stop: AbortSignal
}

/** What became of an attempt. */
export interface ChunkOutcome {
  /** `given back`: the worker ended before the chunk was done. `dropped`: the job is over. */
  readonly state: 'done' | 'given back' | 'dropped'
  /** Inputs that this attempt recorded. */
  readonly inputs: number
}

/** Workers that died of a chunk, after which its inputs are explained in a process of their own. */
const deathsToIsolate = 2

/** How often it is looked whether the job was ended early, in milliseconds. */
const stoppedEvery = 1000

/** Deaths after which a chunk is given up where its inputs cannot be isolated. */
const mostDeaths = 10

/**
 * Explains the inputs of a chunk that no attempt has finished, and publishes it.
 *
 * @param deaths workers that died or hung while they had it
 */
export async function runChunk(
  task: ChunkTask,
  deaths: number,
  { lost, stop }: ChunkSignals,
  { roots, models, isolate, versions, otherVersions, observer }: ChunkTools,
): Promise<ChunkOutcome> {
  const workspace = openWorkspace(await roots.check(task.out, 'folder of results'))
  if ((await workspace.isStopped()) || (await workspace.isDone(task.chunk))) return { state: 'dropped', inputs: 0 }
  const isOther = isOfOtherVersions(task.versions, versions, otherVersions)
  const spec = await readQueuedSpec(workspace, task.spec)
  const attempt = randomUUID()
  const store = new ChunkStore(workspace, task, { name: attempt, versions: isOther ? versions : null }, lost)
  if (deaths >= deathsToIsolate) {
    if (isolate) await isolated(spec, { store, workspace, roots, isolate, lost, stop, observer })
    else if (deaths >= mostDeaths) throw hopeless(task, deaths)
  }
  let inputs = 0
  const explainer = await models.use(spec, task.spec)
  const over = new AbortController()
  // A storage that fails now is asked again.
  const lookIfOver = async (): Promise<void> => {
    if (await workspace.isStopped().catch(() => false)) over.abort()
  }
  const watching = setInterval(() => void lookIfOver(), stoppedEvery)
  let opened = false
  try {
    const summary = await runJob(spec, {
      source: { entries: () => allowed(task.inputs, roots) },
      store: observeRecords(store, observer),
      sink: observedSink(workspace.sink(attempt), observer),
      explainer: { ...explainer, open: async (one) => ((opened = true), explainer.open(one)) },
      signal: AbortSignal.any([stop, over.signal]),
      onProgress: ({ line }) => {
        inputs++
        observer.line(line)
      },
    })
    if (summary.inputs < task.inputs.length) return { state: over.signal.aborted ? 'dropped' : 'given back', inputs }
    await timed(observer, 'publish', () => store.publish())
    return { state: 'done', inputs }
  } finally {
    clearInterval(watching)
    if (!opened) await explainer.close() // runJob() closes what it opened
  }
}

async function isolated(
  spec: JobSpec,
  {
    store,
    workspace,
    roots,
    isolate,
    lost,
    stop,
    observer,
  }: ChunkSignals & {
    readonly observer: WorkObserver
    readonly store: ChunkStore
    readonly workspace: Workspace
    readonly roots: Roots
    readonly isolate: Isolate
  },
): Promise<void> {
  await store.claim()
  try {
    const pending: JobEntry[] = []
    for await (const entry of allowed(store.pending(), roots)) if (!entry.error) pending.push(entry)
    const signal = AbortSignal.any([lost, stop])
    const record = async (line: JobLine): Promise<void> => {
      await store.record(line)
      observer.line(line)
    }
    await isolate(pending, { spec, out: workspace.out, signal, record })
    lost.throwIfAborted()
  } finally {
    await store.close()
  }
}

/** The inputs as entries; one outside the roots is an entry that fails. */
async function* allowed(inputs: readonly TaskInput[], roots: Roots): AsyncGenerator<JobEntry, undefined> {
  for (const input of inputs) {
    const entry = toEntry(input)
    // An entry that is known to fail is not read.
    const error = entry.error ?? (await roots.check(entry.input, 'input').then(() => null, asError))
    yield error ? { ...entry, error } : entry
  }
}

const asError = (error: unknown): Error => error as Error

function hopeless({ chunk }: ChunkTask, deaths: number): GradCamError {
  return new GradCamError('ERR_WORKER_DIED', `${deaths} workers died of chunk ${chunk}.`, {
    remedy: 'See what its inputs have in common; workers with a built-in explainer find the input.',
  })
}
