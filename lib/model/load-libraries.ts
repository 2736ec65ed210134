import { cancellable } from '../addon/abort.js'
import { native } from '../addon/native.js'
import { expect, isInstance } from '../base/check.js'
import { findOperatorLibrary } from './operator-library.js'

export const isPathLike = (value: unknown): value is string | URL => typeof value === 'string' || isInstance(value, URL)

/**
 * Loads shared libraries with operators that a model uses.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT, as `findOperatorLibrary` does, and what the loader of the system says
 */
export async function loadLibraries(libraries: unknown, signal: AbortSignal | undefined): Promise<void> {
  for (const library of expect.list('libraries', libraries ?? [], isPathLike, 'paths of libraries'))
    await cancellable(signal, async (ticket) => native().loadLibrary(await findOperatorLibrary(library), ticket))
}
