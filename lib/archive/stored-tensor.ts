import { damaged, type ByteRange } from './byte-source.js'

/** How many bytes an element of each dtype takes, of the dtypes that a stored tensor can have. */
export const elementBytes = {
  float32: 4,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  uint8: 1,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  bool: 1,
} as const

export type StoredDType = keyof typeof elementBytes

/** The classes of storages of PyTorch's pickles: what an element takes, in bytes, and its dtype where one can be read here. */
export const storageClasses: Readonly<Record<string, { readonly bytes: number; readonly dtype: StoredDType | null }>> =
  {
    ...Object.fromEntries(
      Object.entries({
        FloatStorage: 'float32',
        DoubleStorage: 'float64',
        HalfStorage: 'float16',
        BFloat16Storage: 'bfloat16',
        LongStorage: 'int64',
        IntStorage: 'int32',
        ShortStorage: 'int16',
        CharStorage: 'int8',
        ByteStorage: 'uint8',
        BoolStorage: 'bool',
      } as const).map(([name, dtype]) => [name, { bytes: elementBytes[dtype], dtype }]),
    ),
    UntypedStorage: { bytes: 1, dtype: null },
    ComplexHalfStorage: { bytes: 4, dtype: null },
    ComplexFloatStorage: { bytes: 8, dtype: null },
    ComplexDoubleStorage: { bytes: 16, dtype: null },
    QInt8Storage: { bytes: 1, dtype: null },
    QUInt8Storage: { bytes: 1, dtype: null },
    QInt32Storage: { bytes: 4, dtype: null },
    QUInt4x2Storage: { bytes: 1, dtype: null },
    QUInt2x4Storage: { bytes: 1, dtype: null },
  }

/** A tensor in a file: where its storage is and how it lies there. Its values are not read. */
export interface StoredTensor {
  readonly storage: ByteRange
  readonly dtype: StoredDType
  readonly sizes: readonly number[]
  /** In elements; row-major where it is left out. */
  readonly strides: readonly number[]
  /** In elements, from the start of the storage. */
  readonly offset: number
}

/** More dimensions than any tensor of a model has. */
const mostDimensions = 32

/** The strides of a tensor whose elements lie in row-major order. */
export function rowMajor(sizes: readonly number[]): number[] {
  const strides: number[] = []
  let step = 1
  for (const size of sizes.toReversed()) {
    strides.unshift(step)
    step *= Math.max(size, 1)
  }
  return strides
}

/** Where a tensor's last element ends in its storage, and how many elements it has; both in elements. */
export function extentOf({ sizes, strides, offset }: Pick<StoredTensor, 'sizes' | 'strides' | 'offset'>) {
  const elements = sizes.reduce((product, size) => product * size, 1)
  const last = sizes.reduce((at, size, i) => at + (size - 1) * (strides[i] as number), offset)
  return { elements, end: elements === 0 ? 0 : last + 1 }
}

/**
 * Refuses a tensor that reaches past its storage, or whose sizes overflow.
 *
 * @throws GradCamError ERR_MODEL_CORRUPT
 */
export function checkStored(name: string, tensor: StoredTensor): StoredTensor {
  const { storage, dtype, sizes, strides, offset } = tensor
  const refuse = (what: string) => damaged(storage.source.name, `tensor '${name}' ${what}`)
  if (!Object.hasOwn(elementBytes, dtype)) throw refuse(`has the dtype ${dtype as string}, which is not known`)
  if (sizes.length !== strides.length || sizes.length > mostDimensions)
    throw refuse('has sizes that do not fit its strides')
  if (![...sizes, ...strides, offset].every((n) => Number.isSafeInteger(n) && n >= 0))
    throw refuse('has a size, a stride or an offset that is not a whole number from 0 on')
  const { elements, end } = extentOf(tensor)
  if (!Number.isSafeInteger(elements)) throw refuse('has more elements than there can be')
  if (!(end * elementBytes[dtype] <= storage.length))
    throw refuse(`reaches past its storage of ${storage.length} bytes`)
  // Strides of zero make any number of elements of a few bytes, which a copy would have to hold.
  if (elements * elementBytes[dtype] > Math.max(storage.length * 64, 2 ** 20))
    throw refuse(`says that it has ${elements} elements, but its storage has ${storage.length} bytes`)
  return tensor
}
