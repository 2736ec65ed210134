import { invalid, show, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { checkDType, dtypeOfArray, numbersToArray, type ArrayDType, type DType, type TypedArray } from './dtype.js'

/** Numbers, or arrays of arrays of numbers of one shape. */
export type NestedNumbers = number | bigint | boolean | readonly NestedNumbers[]

/** What a new tensor is made of. */
export interface Elements {
  /** The elements, row by row, as they are in memory. */
  bytes: Uint8Array
  /** How many they are. */
  length: number
  dtype: ArrayDType
  naturalShape: readonly number[]
}

/** LibTorch's own limit of dimensions; an array inside itself would be nested for ever. */
const mostDimensions = 64

/** The getters that read an array's own memory, whatever properties of the same names a subclass or a caller puts on it. */
const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object
const ownOf = <Key extends 'buffer' | 'byteOffset' | 'byteLength' | 'length'>(data: TypedArray, key: Key) =>
  Reflect.get(typedArray, key, data) as Uint8Array[Key]

/** The elements of a typed array. */
export function fromView(data: TypedArray): Elements {
  const dtype = dtypeOfArray(data)
  const length = ownOf(data, 'length')
  try {
    const bytes = new Uint8Array(ownOf(data, 'buffer'), ownOf(data, 'byteOffset'), ownOf(data, 'byteLength'))
    return { bytes, length, dtype, naturalShape: [length] }
  } catch (cause) {
    throw new GradCamError('ERR_INVALID_ARGUMENT', 'The buffer of this typed array is detached: it was transferred.', {
      remedy: 'Copy it before transferring.',
      cause,
    })
  }
}

/** The elements of numbers in nested arrays, in the dtype `requested`, by default in that of the first one. */
export function fromNested(data: NestedNumbers, requested: DType | undefined): Elements {
  checkDType(requested)
  const naturalShape: number[] = []
  for (let level = toList(data); level; level = toList(level[0])) {
    if (naturalShape.length === mostDimensions)
      throw new GradCamError('ERR_SHAPE', `\`data\` must not be nested deeper than ${mostDimensions} arrays.`)
    naturalShape.push(level.length)
  }
  const flat: (number | bigint | boolean)[] = []
  const collect = (value: unknown, depth: number): void => {
    const list = toList(value)
    if (list) {
      if (list.length !== naturalShape[depth])
        throw new GradCamError('ERR_SHAPE', 'The nested arrays are ragged: all at one depth must have the same length.')
      for (const inner of list) collect(inner, depth + 1)
    } else if (['number', 'bigint', 'boolean'].includes(typeof value) && depth === naturalShape.length) {
      flat.push(value as number | bigint | boolean)
    } else if (depth === 0) {
      throw invalid('data', 'a typed array, a number, or nested arrays of numbers', value, { code: 'ERR_SHAPE' })
    } else {
      throw new GradCamError(
        'ERR_SHAPE',
        `The nested arrays must hold numbers, all at one depth, but hold ${show(value)} at depth ${depth}.`,
      )
    }
  }
  collect(data, 0)
  const first = typeof flat[0]
  const inferred = first === 'boolean' ? 'bool' : first === 'bigint' ? 'int64' : 'float32'
  // float16 and bfloat16 are made from float32 afterwards.
  const dtype =
    requested === undefined ? inferred : requested === 'float16' || requested === 'bfloat16' ? 'float32' : requested
  const array = numbersToArray(flat, dtype)
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
  return { bytes, length: array.length, dtype, naturalShape }
}
