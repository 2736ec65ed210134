// Loads the addon as the package would, runs an operator and prints the facts of the addon, or the error, as one line of
// JSON, in a process of its own: see probe.ts.
import { GradCamError } from '../base/errors.js'
import { loadAddon, loadedFile } from './loader.js'

/** Facts of the LibTorch that the addon runs on. */
export interface RuntimeFacts {
  readonly torchVersion: string
  readonly cudaBuild: boolean
  readonly cudaProblem: string
  readonly cuda: boolean
  readonly cudaDevices: number
  readonly threads: number
}

/** Why the addon does not work, and what to do about it. */
export interface LoadFailure {
  readonly problem: string
  readonly remedy?: string | undefined
}

/** The line that this process prints. */
export type ProbeAnswer = { readonly facts: RuntimeFacts; readonly file: string } | { readonly failure: LoadFailure }

function print(answer: ProbeAnswer): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}

try {
  const binding = loadAddon()
  const two = binding.tensor(new Uint8Array(new Float32Array([1, 1]).buffer), 'float32', [2], 'cpu')
  binding.operator('aten::sum', [''], [two])
  print({ facts: binding.info(), file: loadedFile() })
} catch (error) {
  const { message } = error as Error
  print({
    failure: error instanceof GradCamError ? { problem: error.problem, remedy: error.remedy } : { problem: message },
  })
  process.exitCode = 1
}
