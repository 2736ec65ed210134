import { expect } from '../base/check.js'
import type { CallOptions } from '../addon/abort.js'
import type { DType } from '../tensor/dtype.js'
import { isNpy, parseNpy } from '../tensor/npy.js'
import type { Tensor } from '../tensor/tensor.js'
import { readSource, sourceName, type ImageSource } from './read-source.js'

/** What {@link loadNpy} may be told. */
export interface LoadNpyOptions extends CallOptions {
  /** The type of the tensor; that of the file by default. */
  dtype?: DType
  /** 'cpu' by default. */
  device?: string
}

/**
 * Reads an array that `numpy.save` wrote (.npy): volumes, signals, and images of any number of channels.
 *
 * @param source a path, a `file:` URL, or the bytes of the file
 * @returns the array in its own shape and type (uint16 as float32), for the caller to dispose
 * @throws GradCamError ERR_IMAGE_NOT_FOUND, ERR_IMAGE_UNREADABLE, ERR_IMAGE_CORRUPT, ERR_DTYPE
 */
export async function loadNpy(source: ImageSource, options: LoadNpyOptions = {}): Promise<Tensor> {
  const { dtype, device = 'cpu', signal } = expect.options(options)
  const bytes = await readSource(source, { signal: expect.signal(signal) })
  const tensor = parseNpy(bytes, sourceName(source))
  if (dtype === undefined && device === 'cpu') return tensor
  using onCpu = tensor
  return onCpu.to({ dtype: dtype ?? onCpu.dtype, device })
}

export { isNpy, parseNpy }
