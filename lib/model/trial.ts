import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { expect } from '../base/check.js'
import { GradCamError, type GradCamErrorCode } from '../base/errors.js'
import type { NodeBuffer } from '../base/platform-types.js'
import { runNodeChild } from '../base/node-child.js'
import { program } from '../base/paths.js'
import type { CheckedFile } from '../model-file/check.js'
import { refusedAmong, refusedInSource } from '../model-file/refused-operators.js'

/** How an untrusted model is tried before this process loads it. */
export interface TrialOptions {
  /**
   * The shape of the input that it runs on once, of random numbers; [1, 3, 224, 224] by default. A model that refuses it is
   * not refused for that.
   */
  shape?: readonly number[]
  /** What loading and running may take together; 60 by default. */
  seconds?: number
  /** Bytes that it may take besides those of an empty process; 4 GiB by default. */
  memory?: number
}

export type TrialLimits = Required<TrialOptions>

/** What the process of the trial is asked for, as its argument in JSON. Standard input is the file. */
export interface TrialRequest extends TrialLimits {
  /** Of all processors together. */
  readonly processorSeconds: number
}

/** What it writes to standard output, as a line of JSON. */
export type TrialAnswer =
  { readonly ok: true } | { readonly ok: false; readonly code: GradCamErrorCode; readonly problem: string }

export function checkTrial(options: TrialOptions = {}): TrialLimits {
  const { shape = [1, 3, 224, 224], seconds = 60, memory = 4 * 2 ** 30 } = expect.options(options, 'trial')
  return {
    shape: expect.list('trial.shape', shape, isSize, 'sizes'),
    seconds: expect.number('trial.seconds', seconds, { min: 1, max: 86_400 }),
    memory: expect.count('trial.memory', memory),
  }
}

const isSize = (size: unknown): size is number => Number.isSafeInteger(size) && (size as number) > 0

/**
 * The whole file, so that what is checked is what is loaded.
 *
 * Throws ERR_FILE_NOT_FOUND, ERR_FILE_UNREADABLE.
 */
export async function readWhole(path: string): Promise<NodeBuffer> {
  return await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    const missing = cause.code === 'ENOENT' || cause.code === 'ENOTDIR'
    throw new GradCamError(
      missing ? 'ERR_FILE_NOT_FOUND' : 'ERR_FILE_UNREADABLE',
      `'${path}' ${missing ? 'does not exist' : `cannot be read: ${cause.message}`}.`,
      { remedy: 'Check the path.', cause },
    )
  })
}

/** Throws ERR_MODEL_UNTRUSTED where an operator is refused in an untrusted model. */
export function refuseOperators(operators: readonly string[]): void {
  const refused = refusedAmong(operators)
  if (refused.length > 0) throw refusal(`it calls ${refused.join(', ')}`, { operators: refused })
}

/**
 * Refuses a model by its source, and then loads and runs it in a process of its own.
 *
 * Throws ERR_MODEL_UNTRUSTED, and what `ScriptModule.load` does.
 */
export async function tryUntrusted(
  file: Uint8Array,
  name: string,
  { sources, isOld }: CheckedFile,
  options: TrialLimits & { readonly signal: AbortSignal | undefined },
): Promise<void> {
  const inSource = refusedInSource(sources)
  if (inSource.length > 0) throw refusal(`it calls ${inSource.join(', ')}`, { operators: inSource })
  if (isOld) throw refusal('it is in a format of PyTorch before 1.1, which is not checked', {})
  const { signal, ...limits } = options
  const answer = await runTrial(file, limits, signal)
  if (answer.ok) return
  if (answer.code === 'ERR_MODEL_UNTRUSTED' || answer.code === 'ERR_OUT_OF_MEMORY')
    throw refusal(answer.problem, { trial: answer.problem })
  throw new GradCamError(
    answer.code,
    answer.problem.replace('The buffer', () => name),
  )
}

async function runTrial(file: Uint8Array, limits: TrialLimits, signal: AbortSignal | undefined): Promise<TrialAnswer> {
  const request: TrialRequest = { ...limits, processorSeconds: Math.ceil(limits.seconds) * availableParallelism() }
  const child = await runNodeChild(program('model/trial-child.js'), request, file, {
    seconds: limits.seconds,
    output: mostOutput,
    signal,
  })
  const line = child.stdout
    .toString('utf8')
    .split('\n')
    .find((text) => text.startsWith(answerStart))
  if (line !== undefined) return JSON.parse(line.slice(answerStart.length)) as TrialAnswer
  const problem = child.late
    ? `its trial took longer than ${limits.seconds} s`
    : `its trial ended with ${child.signal ?? `exit code ${child.code}`}`
  return { ok: false, code: 'ERR_MODEL_UNTRUSTED', problem }
}

/** What a model prints in one run is less. */
const mostOutput = 2 ** 20

/** Before the answer: a model may print lines of its own. */
export const answerStart = 'gradcam trial: '

function refusal(problem: string, details: Readonly<Record<string, unknown>>): GradCamError {
  return new GradCamError('ERR_MODEL_UNTRUSTED', `The model is refused as untrusted: ${problem}.`, {
    remedy: 'Load it as trusted only if you trust it as much as a program. See SECURITY.md.',
    details,
  })
}
