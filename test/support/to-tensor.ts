import { Tensor } from '../../lib/index.js'
import type { Values } from './stored-tensor.js'

/** This package's Tensor of what a Python program wrote. */
export function toTensor({ data, shape }: Values): Tensor {
  return Tensor.from(data, shape)
}
