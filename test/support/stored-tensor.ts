import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A tensor that a Python program wrote as raw little-endian numbers, see test/python/tensors.py. */
export interface StoredTensor {
  readonly file: string
  readonly shape: number[]
  readonly dtype: 'float32' | 'float64' | 'int64' | 'uint8' | 'bool'
}

/** The same, read. */
export interface Values<T extends Numbers = Numbers> {
  readonly shape: number[]
  readonly data: T
}

export type Numbers = Float32Array | Float64Array | BigInt64Array | Uint8Array

const kinds = {
  float32: Float32Array,
  float64: Float64Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const

export function readTensor(folder: string, stored: StoredTensor): Values {
  const bytes = readFileSync(join(folder, stored.file))
  // A Buffer may be a window on a shared pool whose offset suits no other element type: copy it to its own memory.
  const data = new kinds[stored.dtype](new Uint8Array(bytes).buffer)
  const expected = stored.shape.reduce((product, size) => product * size, 1)
  if (data.length !== expected) throw new Error(`${stored.file} holds ${data.length} numbers, not ${expected}`)
  return { shape: stored.shape, data }
}
