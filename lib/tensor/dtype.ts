import { either, invalid, show } from '../base/check.js'
import { GradCamError } from '../base/errors.js'

/** Element types, by PyTorch's names. */
export type DType =
  'float32' | 'float64' | 'float16' | 'bfloat16' | 'uint8' | 'int8' | 'int16' | 'int32' | 'int64' | 'bool'

/** Where a new tensor lives and what it holds. */
export interface TensorOptions {
  dtype?: DType
  device?: string
}

/** The typed arrays that hold elements of a tensor, one class for each dtype. */
export type TypedArray =
  Float32Array | Float64Array | Uint8Array | Uint8ClampedArray | Int8Array | Int16Array | Int32Array | BigInt64Array

/** The typed array that holds the elements of each dtype. float16 and bfloat16 have none and are converted from float32. */
const arrayOf = {
  float32: Float32Array,
  float64: Float64Array,
  uint8: Uint8Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
} as const

export type ArrayDType = keyof typeof arrayOf

const dtypes: readonly unknown[] = ['float16', 'bfloat16', ...Object.keys(arrayOf)]

/** Refuses what is not the name of a dtype; undefined is the default. */
export function checkDType(dtype: unknown): void {
  if (dtype !== undefined && !dtypes.includes(dtype))
    throw invalid('dtype', either(dtypes), dtype, { code: 'ERR_DTYPE' })
}

/** The dtype whose elements a typed array holds. */
export function dtypeOfArray(array: TypedArray): ArrayDType {
  if (array instanceof Uint8ClampedArray) return 'uint8'
  for (const [dtype, type] of Object.entries(arrayOf)) if (array instanceof type) return dtype as ArrayDType
  throw new GradCamError('ERR_DTYPE', `LibTorch has no dtype for the elements of ${show(array)}.`, {
    remedy: 'Use a Float32Array, Float64Array, Uint8Array, Int8Array, Int16Array, Int32Array or BigInt64Array.',
  })
}

/** Row-major bytes as the typed array of their dtype. */
export function bytesToArray(bytes: ArrayBuffer, dtype: ArrayDType): TypedArray {
  return new arrayOf[dtype](bytes)
}

/** Numbers as the typed array of a dtype. */
export function numbersToArray(numbers: readonly (number | bigint | boolean)[], dtype: ArrayDType): TypedArray {
  if (!dtype.startsWith('float') && numbers.some((n) => typeof n === 'number' && !Number.isInteger(n)))
    throw new GradCamError('ERR_DTYPE', `Only integers fit into ${dtype}.`, {
      remedy: 'Round the numbers first, or use a float dtype.',
    })
  if (dtype === 'int64') return BigInt64Array.from(numbers, (n) => BigInt(n))
  if (dtype === 'bool') return Uint8Array.from(numbers, (n) => (n ? 1 : 0))
  return arrayOf[dtype].from(numbers.map(Number))
}
