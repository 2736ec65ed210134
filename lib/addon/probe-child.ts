// Loads the addon as the package would, runs an operator and prints what the addon says of itself, in a process of its
// own: see probe.ts.
import { loadAddon } from './loader.js'

/** What the addon says of the LibTorch that it runs on. */
export interface RuntimeFacts {
  readonly torchVersion: string
  readonly cudaBuild: boolean
  readonly cuda: boolean
  readonly cudaDevices: number
  readonly threads: number
}

try {
  const binding = loadAddon()
  const two = binding.tensor(new Uint8Array(new Float32Array([1, 1]).buffer), 'float32', [2], 'cpu')
  binding.operator('aten::sum', [''], [two])
  process.stdout.write(`${JSON.stringify(binding.info() satisfies RuntimeFacts)}\n`)
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}
