import { dtypeOfArray, numbersToArray, type ArrayDType, type DType, type TypedArray } from './dtype.js'
import { GradCamError } from '../base/errors.js'

/** Numbers, or arrays of arrays of numbers of one shape. */
export type NestedNumbers = number | bigint | boolean | readonly NestedNumbers[]

/** What a new tensor is made of. */
export interface Elements {
  array: TypedArray
  dtype: ArrayDType
  naturalShape: readonly number[]
}

/** The elements of a typed array. */
export function fromView(data: TypedArray): Elements {
  const dtype = dtypeOfArray(data)
  try {
    new Uint8Array(data.buffer)
  } catch (cause) {
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      'The buffer of this typed array is detached: it was transferred to another thread. Copy it before transferring.',
      { cause },
    )
  }
  return { array: data, dtype, naturalShape: [data.length] }
}

/** The elements of numbers in nested arrays, as `wanted` or as the first of them says. */
export function fromNested(data: NestedNumbers, wanted: DType | undefined): Elements {
  const naturalShape: number[] = []
  for (let level: NestedNumbers | undefined = data; Array.isArray(level); level = (level as NestedNumbers[])[0])
    naturalShape.push(level.length)
  const flat: (number | bigint | boolean)[] = []
  const collect = (value: NestedNumbers, depth: number): void => {
    if (Array.isArray(value)) {
      if (value.length !== naturalShape[depth])
        throw new GradCamError('ERR_SHAPE', 'The nested arrays are ragged: all at one depth must have the same length.')
      for (const inner of value as readonly NestedNumbers[]) collect(inner, depth + 1)
    } else if (depth !== naturalShape.length || !['number', 'bigint', 'boolean'].includes(typeof value)) {
      throw new GradCamError('ERR_SHAPE', 'The nested arrays must hold numbers, all at one depth.')
    } else {
      flat.push(value as number | bigint | boolean)
    }
  }
  collect(data, 0)
  const first = typeof flat[0]
  const inferred = first === 'boolean' ? 'bool' : first === 'bigint' ? 'int64' : 'float32'
  // float16 and bfloat16 are made from float32 afterwards.
  const dtype = wanted === undefined ? inferred : wanted === 'float16' || wanted === 'bfloat16' ? 'float32' : wanted
  return { array: numbersToArray(flat, dtype), dtype, naturalShape }
}
