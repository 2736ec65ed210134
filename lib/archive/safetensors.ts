import { damaged, type ByteRange, type ByteSource } from './byte-source.js'
import { checkStored, rowMajor, type StoredDType, type StoredTensor } from './stored-tensor.js'

const dtypes: Readonly<Record<string, StoredDType>> = {
  F32: 'float32',
  F64: 'float64',
  F16: 'float16',
  BF16: 'bfloat16',
  U8: 'uint8',
  I8: 'int8',
  I16: 'int16',
  I32: 'int32',
  I64: 'int64',
  BOOL: 'bool',
}

/** The longest header that the format allows. */
const longestHeader = 100_000_000

export const isSafetensors = (start: Buffer): boolean => start.length > 8 && start[8] === 0x7b

/**
 * The tensors of a safetensors file, by name. Their values are not read.
 *
 * @throws GradCamError ERR_MODEL_CORRUPT
 */
export function readSafetensors(source: ByteSource): Map<string, StoredTensor> {
  const length = Number(source.read(0, 8).readBigUInt64LE())
  if (!(length <= longestHeader && length <= source.size - 8))
    throw damaged(source.name, 'the header of the safetensors file is longer than the file')
  const header = parseHeader(source, length)
  const tensors = new Map<string, StoredTensor>()
  for (const [name, entry] of Object.entries(header))
    if (name !== '__metadata__') tensors.set(name, readEntry(name, entry, { source, from: 8 + length }))
  return tensors
}

function parseHeader(source: ByteSource, length: number): object {
  try {
    const header: unknown = JSON.parse(source.read(8, length).toString('utf8'))
    if (typeof header === 'object' && header !== null && !Array.isArray(header)) return header
  } catch (cause) {
    if (cause instanceof SyntaxError)
      throw damaged(source.name, 'the header of the safetensors file is not JSON', cause)
    throw cause
  }
  throw damaged(source.name, 'the header of the safetensors file is not an object')
}

function readEntry(name: string, entry: unknown, { source, from }: { source: ByteSource; from: number }): StoredTensor {
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>
  const known = typeof dtype === 'string' && Object.hasOwn(dtypes, dtype) ? dtypes[dtype] : undefined
  if (known === undefined)
    throw damaged(
      source.name,
      `tensor '${name}' has ${typeof dtype === 'string' ? `the dtype ${dtype}, which is not known` : 'no dtype'}`,
    )
  // Before anything is computed of them: a list in a list would be made a text.
  if (
    !Array.isArray(shape) ||
    !shape.every((size) => typeof size === 'number') ||
    !Array.isArray(offsets) ||
    offsets.length !== 2
  )
    throw damaged(source.name, `tensor '${name}' has no shape or no position`)
  const [begin, end] = offsets as [number, number]
  if (!(
    Number.isSafeInteger(begin) &&
    Number.isSafeInteger(end) &&
    begin >= 0 &&
    begin <= end &&
    from + end <= source.size
  ))
    throw damaged(source.name, `tensor '${name}' reaches past the end of the file`)
  const storage: ByteRange = { source, position: from + begin, length: end - begin }
  return checkStored(name, { storage, dtype: known, sizes: shape, strides: rowMajor(shape), offset: 0 })
}
