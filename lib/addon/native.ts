import { GradCamError } from '../errors.js'
import type { NativeBinding } from './binding.js'
import { loadAddon } from './loader.js'

let binding: NativeBinding | undefined

/** The addon, loaded at its first use: importing the package needs neither it nor LibTorch. */
export function native(): NativeBinding {
  if (!binding) {
    binding = loadAddon()
    binding.setErrorClass(GradCamError)
  }
  return binding
}
