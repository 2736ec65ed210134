import { GradCamError } from '../base/errors.js'

/** The error of a program that is valid, but has no translation. */
export function unsupported(what: string, remedy?: string): GradCamError {
  return new GradCamError('ERR_MODEL_UNSUPPORTED', `The exported program ${what}.`, {
    remedy: remedy ?? 'Export the model without it, or save it as TorchScript (torch.jit.trace).',
  })
}
