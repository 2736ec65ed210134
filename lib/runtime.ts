import { native } from './addon/native.js'
import { GradCamError } from './errors.js'

/** How many tensors this thread's JavaScript holds that were not disposed: for finding leaks. */
export function liveTensors(): number {
  return native().liveTensors()
}

/** Seeds LibTorch's random numbers, as torch.manual_seed does. */
export function manualSeed(seed: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new GradCamError('ERR_INVALID_ARGUMENT', `${seed} is no seed: give an integer from 0 on.`)
  native().manualSeed(seed)
}

/** The intra-op threads that LibTorch uses for one operator, in the whole process. */
export function numThreads(): number {
  return native().info().threads
}

/**
 * Sets them, for operators and for every model that was not loaded with a number of its own. By default LibTorch takes one
 * per physical core, or what OMP_NUM_THREADS says.
 */
export function setNumThreads(threads: number): void {
  native().setThreads(checkThreads(threads))
}

/** @internal */
export function checkThreads(threads: number): number {
  if (!Number.isSafeInteger(threads) || threads < 1 || threads > 1024)
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `${threads} is no number of threads: give an integer from 1 to 1024.`,
    )
  return threads
}
