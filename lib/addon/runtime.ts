import { native } from './native.js'
import { expect, invalid } from '../base/check.js'

/** How many tensors this thread's JavaScript holds that were not disposed: for finding leaks. */
export function liveTensors(): number {
  return native().liveTensors()
}

/** What tensors on the CPU hold, in bytes. Those under 128 KiB are not counted. */
export interface TensorMemory {
  /** Held by tensors, a model's weights included. */
  readonly live: number
  /** Given back by tensors, and kept for the next ones: at most `mostLive`. */
  readonly idle: number
  /** The greatest `live` since idle memory was last released. */
  readonly mostLive: number
  /** See {@link setTensorMemoryLimit}; Infinity where there is none. */
  readonly limit: number
}

/**
 * The addon's memory of tensors on the CPU. What large tensors release is kept for the next ones, because requesting it from
 * the system again in every run costs up to a fifth of the run; {@link emptyCache} releases it. Other code in the process that
 * uses LibTorch is not counted. With GRADCAM_ALLOCATOR=libtorch in the environment nothing is kept or counted.
 */
export function tensorMemory(): TensorMemory {
  return native().memory()
}

/** Gives idle memory back to the system, as disposing a model does. Until the next run has taken it again, that run is slower. */
export function emptyCache(): void {
  native().emptyCache()
}

/**
 * Limits what {@link tensorMemory} counts, in bytes, for the whole process; Infinity, which is the default, for no limit. A
 * call that needs more ends with ERR_OUT_OF_MEMORY, and nothing else is lost; one that works in chunks of its own (`chunkSize`,
 * `batchSize`) first tries smaller ones. Without a limit Linux grants more than there is, and then kills the process: give a
 * server in a container less than the container has. Tensors that are there already stay, even above the limit.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT, also with GRADCAM_ALLOCATOR=libtorch in the environment
 */
export function setTensorMemoryLimit(bytes: number): void {
  native().limitMemory(checkByteLimit(bytes))
}

/** @internal */
export function checkByteLimit(bytes: number): number {
  if (bytes !== Infinity && (!Number.isSafeInteger(bytes) || bytes < 0))
    throw invalid('bytes', 'an integer from 0 on, or Infinity for no limit', bytes)
  return bytes
}

/**
 * Seeds LibTorch's random numbers, as torch.manual_seed does.
 *
 * @param seed an integer from 0 on
 * @throws GradCamError ERR_INVALID_ARGUMENT
 */
export function manualSeed(seed: number): void {
  native().manualSeed(expect.seed('seed', seed))
}

/** The intra-op threads that one operator of a model uses. */
export function numThreads(): number {
  return native().info().threads
}

/**
 * Sets them, for every model that was not loaded with a number of its own. By default LibTorch takes one per physical core,
 * or the number in OMP_NUM_THREADS. Operators that JavaScript calls on a {@link Tensor} run on the calling thread alone: with
 * threads of their own there would be more of them than cores, and the models would run slower.
 */
export function setNumThreads(threads: number): void {
  native().setThreads(checkThreads(threads))
}

/** @internal */
export function checkThreads(threads: number): number {
  return expect.integer('threads', threads, { min: 1, max: 1024 })
}
