import { fileURLToPath } from 'node:url'
import { program } from '../base/paths.js'
import { lastLines, run } from '../base/processes.js'
import { explainLoadError } from './load-errors.js'
import type { LoadFailure, ProbeAnswer, RuntimeFacts } from './probe-child.js'

/** The result of loading the addon in a process of its own, so that a crash there does not end this process. */
export type Probe =
  { readonly ok: true; readonly facts: RuntimeFacts; readonly file: string } | ({ readonly ok: false } & LoadFailure)

/** Loads an addon, or the one that the package would load, in a child process and runs a tensor operator in it. */
export async function probeAddon(file?: string): Promise<Probe> {
  const script = fileURLToPath(program('addon/probe-child.js'))
  const env = file ? { ...process.env, GRADCAM_ADDON: file } : process.env
  const result = await run(process.execPath, [script], { env, timeout: 60_000 })
  const answer = readAnswer(result.stdout)
  if (answer && 'facts' in answer) return { ok: true, facts: answer.facts, file: answer.file }
  if (answer) return { ok: false, ...answer.failure }
  // The dynamic loader may end the process itself.
  const { meaning, remedy } = explainLoadError(result.stderr, null)
  const ending = result.signal ?? `exit code ${result.code}`
  const problem =
    `Loading the addon ended the process with ${ending} (${meaning}). ${lastLines(result.stderr, 3)}`.trim()
  return { ok: false, problem, remedy: `${remedy}.` }
}

/** What the process printed before it ended: LibTorch may print lines of its own. */
function readAnswer(stdout: string): ProbeAnswer | null {
  const line = stdout.split('\n').find((text) => /^\{"(facts|failure)":/.test(text))
  return line === undefined ? null : (JSON.parse(line) as ProbeAnswer)
}
