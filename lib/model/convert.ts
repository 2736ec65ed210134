import { rename, rm } from 'node:fs/promises'
import { cancellable, type CallOptions } from '../addon/abort.js'
import { native } from '../addon/native.js'
import { expect, isInstance } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { toNativePlan } from '../exported/plan.js'
import { loadLibraries } from './load-libraries.js'
import { planOfWeights, readPlan } from './open-plan.js'

export interface ConvertOptions extends CallOptions {
  /** The file of weights, where the source is the name of an architecture: see `LoadOptions.weights`. */
  weights?: string | URL | Uint8Array
  /** Shared libraries that register operators which the model uses: see `LoadOptions.libraries`. */
  libraries?: readonly (string | URL)[]
}

/**
 * Writes an exported program (.pt2), or an architecture with weights, as a TorchScript file, for tools that read no other.
 *
 * @param source the path of the .pt2 file, or the name of an architecture
 * @param out the path of the TorchScript file, which is replaced where it exists
 * @throws GradCamError as `ScriptModule.load` does; ERR_INVALID_ARGUMENT for a file of another kind; ERR_FILE_UNREADABLE
 *   where the file cannot be written
 */
export async function convertModel(
  source: string | URL,
  out: string | URL,
  options: ConvertOptions = {},
): Promise<void> {
  const { weights, libraries, signal } = expect.options(options)
  const from = expect.path('source', source)
  const to = expect.path('out', out)
  const plan =
    weights === undefined
      ? readPlan(from, 'cpu')
      : planOfWeights(from, isInstance(weights, Uint8Array) ? weights : expect.path('weights', weights)).plan
  if (!plan)
    throw new GradCamError('ERR_INVALID_ARGUMENT', `'${from}' is not an exported program (.pt2).`, {
      remedy: 'Give a file of torch.export.save, or the name of an architecture with its weights.',
    })
  await loadLibraries(libraries, signal)
  const partial = `${to}.${process.pid}.partial`
  try {
    await cancellable(signal, (ticket) => native().saveTorchScript(toNativePlan(plan), partial, ticket))
    await rename(partial, to)
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {})
    if (error instanceof GradCamError ? error.code !== 'ERR_TORCH' : signal?.aborted) throw error
    throw new GradCamError('ERR_FILE_UNREADABLE', `'${to}' cannot be written: ${(error as Error).message}`, {
      remedy: 'Check the folder and its rights.',
      cause: error,
    })
  }
}
