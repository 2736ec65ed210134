import { fork, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { GradCamError } from '../base/errors.js'
import { program } from '../base/paths.js'
import { partialFolder } from '../jobs/file-names.js'
import type { JobEntry } from '../jobs/job.js'
import { toErrorLine, type JobLine } from '../jobs/job-line.js'
import type { JobSpec } from '../jobs/job-spec.js'
import type { ModelExplainerOptions } from '../jobs/model-explainer.js'
import { isCode, toTaskInput, type TaskInput } from './task.js'

/** What the process of isolated inputs is given. */
export interface IsolatedWork {
  readonly spec: JobSpec
  readonly out: string
  readonly partial: string
  readonly inputs: readonly TaskInput[]
  readonly explainer: ModelExplainerOptions
}

/** What it tells. */
export type IsolatedMessage =
  | { readonly begun: string }
  | { readonly line: JobLine }
  | { readonly failed: { readonly code: string | null; readonly message: string } }

/** Explains inputs so that one that kills its process does no more harm than that. */
export type Isolate = (
  inputs: readonly JobEntry[],
  work: {
    readonly spec: JobSpec
    readonly out: string
    readonly signal: AbortSignal
    readonly record: (line: JobLine) => Promise<void>
  },
) => Promise<void>

/**
 * One input at a time, in a process that is started again when it dies. It says which input it begins, so that the one that
 * killed it is known, and not guessed from who died when; that one is recorded with ERR_WORKER_DIED.
 */
export function isolateBy(explainer: ModelExplainerOptions): Isolate {
  return async (inputs, { spec, out, signal, record }) => {
    let left = inputs
    while (left.length > 0 && !signal.aborted) {
      const partial = `${partialFolder}-${randomUUID()}`
      const work: IsolatedWork = { spec, out, partial, inputs: left.map(toTaskInput), explainer }
      const { done, begun, how } = await runChild(work, signal, record)
      if (signal.aborted) return
      left = left.filter(({ id }) => !done.has(id))
      const killer = left.find(({ id }) => id === begun)
      if (killer) {
        await record(toErrorLine(killer, diedOf(killer, how), null))
        left = left.filter(({ id }) => id !== begun)
      } else if (left.length > 0)
        throw new GradCamError('ERR_WORKER_DIED', `The process of isolated inputs ended before its first (${how}).`)
    }
  }
}

interface Ended {
  readonly done: ReadonlySet<string>
  /** The input that it began and did not finish. */
  readonly begun: string | null
  readonly how: string
}

async function runChild(
  work: IsolatedWork,
  signal: AbortSignal,
  record: (line: JobLine) => Promise<void>,
): Promise<Ended> {
  const child = fork(program('queue/isolated.js'), { serialization: 'advanced' })
  const kill = (): void => void child.kill('SIGKILL')
  signal.addEventListener('abort', kill, { once: true })
  try {
    return await follow(child, work, record)
  } finally {
    signal.removeEventListener('abort', kill)
    kill()
  }
}

function follow(child: ChildProcess, work: IsolatedWork, record: (line: JobLine) => Promise<void>): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const done = new Set<string>()
    let begun: string | null = null
    let recorded: Promise<void> = Promise.resolve()
    child.on('message', (message: IsolatedMessage) => {
      if ('begun' in message) begun = message.begun
      else if ('line' in message) {
        done.add(message.line.id)
        if (begun === message.line.id) begun = null
        recorded = recorded.then(() => record(message.line))
        recorded.catch(reject)
      } else {
        const { code, message: text } = message.failed
        reject(isCode(code) ? new GradCamError(code, text) : new Error(text))
      }
    })
    child.once('error', reject)
    child.once('exit', (code, name) => {
      const how = name ?? `exit code ${code}`
      recorded.then(() => resolve({ done, begun, how }), reject)
    })
    child.send(work, (error) => error && child.kill('SIGKILL'))
  })
}

function diedOf({ input }: JobEntry, how: string): GradCamError {
  return new GradCamError('ERR_WORKER_DIED', `The process that explained '${input}' died of it (${how}).`, {
    remedy: 'Look at the image, or explain it alone.',
  })
}
