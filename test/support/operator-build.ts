import { readFileSync } from 'node:fs'
import { builtWith } from './compile-native.js'

/** Whether an operator library is of a CUDA build and the addon's LibTorch has no CUDA libraries, without which it cannot be loaded. */
export function lacksCuda(library: string): boolean {
  return !builtWith().cuda && readFileSync(library).includes('libtorch_cuda.so\0')
}
