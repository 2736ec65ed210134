import { isMainThread } from 'node:worker_threads'
import type { NativeBinding } from './binding.js'
import { loadAddon } from './loader.js'
import { nativeError } from './native-error.js'
import { announceWarnings } from './warnings.js'

let binding: NativeBinding | undefined

/** The addon, loaded at its first use: importing the package needs neither it nor LibTorch. */
export function native(): NativeBinding {
  if (!binding) {
    binding = loadAddon()
    binding.setErrorFactory(nativeError)
    binding.setWarningListener(announceWarnings)
    // process.exit on the main thread destroys LibTorch without ending Node's environment first: a run in progress would use
    // destroyed objects. A worker's environment always ends, and the addon stops by itself.
    if (isMainThread) process.once('exit', () => binding?.stop())
  }
  return binding
}
