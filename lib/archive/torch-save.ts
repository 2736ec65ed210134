import { damaged, readRange, type ByteRange } from './byte-source.js'
import { readPickle, isGlobal, type PickleWorld } from './pickle.js'
import { checkStored, elementBytes, type StoredDType, type StoredTensor } from './stored-tensor.js'
import { Zip } from './zip.js'

const storageTypes: Readonly<Record<string, StoredDType>> = {
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
}

/** The storage that a tensor of a pickle lies in; the bytes of an older file are found after the pickle was read. */
class PickledStorage {
  range: ByteRange | undefined
  constructor(
    readonly key: string,
    readonly dtype: StoredDType | null,
    readonly elements: number,
  ) {}
}

/** A tensor of a pickle. */
export class PickledTensor {
  /** @param dtype that of the storage where it is null */
  constructor(
    private readonly storage: PickledStorage,
    private readonly dtype: StoredDType | null,
    private readonly view: Pick<StoredTensor, 'sizes' | 'strides' | 'offset'>,
  ) {}

  /** @throws GradCamError ERR_MODEL_CORRUPT where it reaches past its storage */
  stored(name: string, file: string): StoredTensor {
    const { range, dtype: own } = this.storage
    const dtype = this.dtype ?? own
    if (!range || !dtype) throw damaged(file, `tensor '${name}' has no storage`)
    return checkStored(name, { storage: range, dtype, ...this.view })
  }
}

/** Classes and functions whose calls give plain containers, or nothing that matters for tensors. */
const containers: Readonly<Record<string, (args: readonly unknown[]) => unknown>> = {
  'collections.OrderedDict': () => new Map(),
  'collections.defaultdict': () => new Map(),
  'collections.Counter': () => new Map(),
  'builtins.dict': () => new Map(),
  'builtins.set': (args) => args[0] ?? [],
  '__builtin__.set': (args) => args[0] ?? [],
  'argparse.Namespace': () => new Map(),
  'torch.Size': (args) => args[0] ?? [],
  'torch.device': (args) => args[0] ?? null,
  'torch.torch_version.TorchVersion': (args) => args[0] ?? null,
}

const numbers = (value: unknown): number[] => {
  if (!Array.isArray(value)) throw new TypeError('not a list of numbers')
  return value.map(Number)
}

const rebuilders: Readonly<Record<string, (args: readonly unknown[]) => unknown>> = {
  'torch._utils._rebuild_tensor': ([storage, offset, sizes, strides]) =>
    rebuilt(storage, null, [offset, sizes, strides]),
  'torch._utils._rebuild_tensor_v2': ([storage, offset, sizes, strides]) =>
    rebuilt(storage, null, [offset, sizes, strides]),
  'torch._utils._rebuild_tensor_v3': ([storage, offset, sizes, strides, , , dtype]) =>
    rebuilt(storage, dtypeOf(dtype), [offset, sizes, strides]),
  'torch._utils._rebuild_parameter': ([tensor]) => tensor,
  'torch._utils._rebuild_parameter_with_state': ([tensor]) => tensor,
}

function rebuilt(storage: unknown, dtype: StoredDType | null, [offset, sizes, strides]: readonly unknown[]): unknown {
  if (!(storage instanceof PickledStorage)) throw new TypeError('not a storage')
  return new PickledTensor(storage, dtype, { offset: Number(offset), sizes: numbers(sizes), strides: numbers(strides) })
}

function dtypeOf(value: unknown): StoredDType | null {
  const name = isGlobal(value) ? value.global.replace(/^torch\./, '') : ''
  return Object.hasOwn(elementBytes, name) ? (name as StoredDType) : null
}

/** A dtype, a class of storages, or a number of PyTorch's own that is named and never called. */
const isInert = (global: string): boolean => {
  const name = global.replace(/^torch\./, '')
  return (
    global.startsWith('torch.') &&
    (Object.hasOwn(elementBytes, name) || Object.hasOwn(storageTypes, name) || name === 'storage.UntypedStorage')
  )
}

/** A world of tensors; `storages` gets each that the pickle names. */
function tensorWorld(name: string, storages: Map<string, PickledStorage>): PickleWorld {
  return {
    name,
    knows: (global) => Object.hasOwn(containers, global) || Object.hasOwn(rebuilders, global) || isInert(global),
    call: (global, args) => (rebuilders[global] ?? containers[global])?.(args),
    persistent: (id) => {
      if (!Array.isArray(id) || id[0] !== 'storage' || !isGlobal(id[1])) return undefined
      const [, type, key, , elements, view] = id as [string, { global: string }, unknown, unknown, unknown, unknown]
      if (view !== undefined && view !== null) return undefined // a view of a storage, as PyTorch 0.3 wrote it
      const known = storages.get(String(key))
      if (known) return known
      const dtype = storageTypes[type.global.replace(/^torch\./, '')] ?? null
      const storage = new PickledStorage(String(key), dtype, Number(elements))
      storages.set(storage.key, storage)
      return storage
    },
  }
}

/** Runs a reader of a file that may lie: what is not of the form that it must have is a damaged file. */
function guarded<Result>(name: string, read: () => Result): Result {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof TypeError || cause instanceof RangeError)
      throw damaged(name, 'its pickle holds something of a form that PyTorch does not write', cause)
    throw cause
  }
}

/** The first bytes of torch.save before PyTorch 1.6: a pickle of its magic number. */
const oldStart = Buffer.from([0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9])

export const isOldTorchSave = (start: Buffer): boolean => start.subarray(0, oldStart.length).equals(oldStart)

/**
 * What torch.save wrote, in a zip archive or in the format of PyTorch before 1.6. Nothing is executed, and no values of
 * tensors are read: they come as {@link PickledTensor}, dicts as maps.
 *
 * @throws GradCamError ERR_MODEL_CORRUPT, ERR_MODEL_IS_EAGER_PICKLE for what is more than tensors and plain values
 */
export function readTorchSave(range: ByteRange): unknown {
  const { source, position, length } = range
  const start = source.read(position, Math.min(length, oldStart.length))
  return guarded(source.name, () => (isOldTorchSave(start) ? readOld(range) : readZipped(new Zip(range), source.name)))
}

function readZipped(zip: Zip, name: string): unknown {
  const pickle = zip.names.find((record) => record === 'data.pkl' || /^[^/]*\/data\.pkl$/.test(record))
  if (pickle === undefined) throw damaged(name, 'the archive holds no data.pkl, so that torch.save did not write it')
  const folder = pickle.slice(0, -'data.pkl'.length)
  const order = `${folder}byteorder`
  if (zip.has(order) && zip.text(order) !== 'little') throw damaged(name, 'it was written on a big-endian machine')
  const storages = new Map<string, PickledStorage>()
  const { value } = readPickle(readRange(zip.record(pickle)), 0, tensorWorld(name, storages))
  for (const storage of storages.values()) storage.range = zip.record(`${folder}data/${storage.key}`)
  return value
}

/** The most that is read of an older file at once: its pickle, without its storages. */
const longestPickle = 256 * 2 ** 20

/** Five pickles: a magic number, a version, the system, the object, the keys of its storages. Then their bytes. */
function readOld({ source, position, length }: ByteRange): unknown {
  const bytes = source.read(position, Math.min(length, longestPickle))
  const storages = new Map<string, PickledStorage>()
  const world = tensorWorld(source.name, storages)
  const parts: unknown[] = []
  let at = 0
  for (let i = 0; i < 5; i++) {
    const { value, end } = readPickle(bytes, at, world)
    parts.push(value)
    at = end
  }
  const keys = parts[4]
  if (!Array.isArray(keys)) throw new TypeError('not a list of keys')
  for (const key of keys as unknown[]) {
    const storage = storages.get(String(key))
    if (!storage?.dtype || at + 8 > length) throw damaged(source.name, 'its list of storages does not fit its pickle')
    const elements = Number(source.read(position + at, 8).readBigInt64LE())
    const size = elements * elementBytes[storage.dtype]
    at += 8
    if (!(elements >= 0 && at + size <= length)) throw damaged(source.name, `storage '${storage.key}' is cut off`)
    storage.range = { source, position: position + at, length: size }
    at += size
  }
  return parts[3]
}
