import { Worker } from 'node:worker_threads'
import { GradCamError, type GradCamErrorData } from '../base/errors.js'
import { program } from '../base/paths.js'
import type { ProgramInput } from '../exported/inputs.js'
import { toNativePlan } from '../exported/plan.js'
import { programLength, readPlan } from './open-plan.js'

/** A model that is not TorchScript, as the addon takes it. */
export interface OpenedPlan {
  readonly plan: ReturnType<typeof toNativePlan>
  readonly inputs: readonly ProgramInput[]
}

/** What the thread is given, and what it answers. */
export interface PlanRequest {
  readonly from: string | Uint8Array
  readonly device: string
}
export type PlanAnswer = { readonly opened: OpenedPlan } | { readonly error: GradCamErrorData & { problem: string } }

/** Bytes of a program's text. Shorter ones are translated sooner than a thread has begun: in about 20 ms. */
const longestHere = 256 * 1024

/** Translates an exported program; null for a file of another kind. */
export function openPlanHere({ from, device }: PlanRequest): OpenedPlan | null {
  const plan = readPlan(from, device)
  return plan && { plan: toNativePlan(plan), inputs: plan.inputs }
}

/**
 * The same in a thread of its own where it would keep this one busy: a large program takes a tenth of a second.
 *
 * @throws GradCamError as `readPlan` does; the signal's reason
 */
export async function openPlan(request: PlanRequest, signal?: AbortSignal): Promise<OpenedPlan | null> {
  const length = programLength(request.from)
  if (length === null) return null
  const worker = length > longestHere ? startWorker(shared(request)) : null
  if (!worker) return openPlanHere(request)
  try {
    const answer = await answerOf(worker, signal)
    if ('error' in answer) {
      const { code, problem, remedy, details } = answer.error
      throw new GradCamError(code, problem, { remedy, details })
    }
    const { plan, inputs } = answer.opened
    // Bytes come back as another view of the same memory.
    const files = plan.files.map((file) => (typeof file === 'string' ? file : request.from))
    return { plan: { ...plan, files }, inputs }
  } finally {
    void worker.terminate()
  }
}

function answerOf(worker: Worker, signal: AbortSignal | undefined): Promise<PlanAnswer> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', (code) => reject(new Error(`The thread that reads the model ended with exit code ${code}.`)))
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

/** Null where this process may not start threads (Node's permission model). */
function startWorker(request: PlanRequest): Worker | null {
  try {
    return new Worker(program('model/plan-worker.js'), { workerData: request, execArgv: [] })
  } catch {
    return null
  }
}

/** With bytes in memory that both threads see: a message would copy them twice. */
function shared({ from, device }: PlanRequest): PlanRequest {
  if (typeof from === 'string') return { from, device }
  const bytes = new Uint8Array(new SharedArrayBuffer(from.byteLength))
  bytes.set(from)
  return { from: bytes, device }
}
