import { fileURLToPath } from 'node:url'
import { lastLines, run } from '../base/processes.js'
import { explainLoadError } from './load-errors.js'
import type { RuntimeFacts } from './probe-child.js'

/** What came of loading the addon in a process of its own: a crash there is a finding, not this process's end. */
export type Probe =
  { readonly ok: true; readonly facts: RuntimeFacts } | { readonly ok: false; readonly problem: string }

/** Loads an addon, or the one that the package would load, in a child process and runs a tensor operator in it. */
export async function probeAddon(file?: string): Promise<Probe> {
  const script = fileURLToPath(new URL('./probe-child.js', import.meta.url))
  const env = file ? { ...process.env, GRADCAM_ADDON: file } : process.env
  const result = await run(process.execPath, [script], { env, timeout: 60_000 })
  if (result.code === 0) {
    return {
      ok: true,
      facts: JSON.parse(result.stdout.split('\n').find((line) => line.startsWith('{')) ?? '{}') as RuntimeFacts,
    }
  }
  if (result.signal) {
    const { meaning } = explainLoadError(result.stderr, null)
    return {
      ok: false,
      problem:
        `Loading the addon ended the process with ${result.signal} (${meaning}). ${lastLines(result.stderr, 3)}`.trim(),
    }
  }
  return { ok: false, problem: lastLines(result.stderr, 1) }
}
