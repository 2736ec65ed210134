import { GradCamError } from '../base/errors.js'
import { damaged, guarded, readRange, type ByteRange } from './byte-source.js'
import { PickledCall, PickledDict, PickledGlobal, PickledList, PickledReference, type Pickled } from './pickled.js'
import { readPickleNow } from './pickle.js'
import { checkStored, elementBytes, storageClasses, type StoredDType, type StoredTensor } from './stored-tensor.js'
import { Zip } from './zip.js'

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

/** What an object is made of by Python, of the arguments of its call. */
type Make = (args: readonly unknown[]) => unknown

/** Classes and functions whose calls give plain containers, or nothing that matters for tensors. */
const containers: Readonly<Record<string, Make>> = {
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

const rebuilders: Readonly<Record<string, Make>> = {
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
  const name = value instanceof PickledGlobal ? value.name.replace(/^torch\./, '') : ''
  return Object.hasOwn(elementBytes, name) ? (name as StoredDType) : null
}

/** The class of a storage, by its name in the module torch. */
const storageClassOf = (global: string) => {
  const name = global.replace(/^torch\.(?:storage\.)?/, '')
  return global.startsWith('torch.') && Object.hasOwn(storageClasses, name) ? storageClasses[name] : undefined
}

/** Whether a pickle may name it: what it calls to make tensors and containers, a dtype, or a class of storages. */
const isKnown = (global: string): boolean =>
  Object.hasOwn(containers, global) ||
  Object.hasOwn(rebuilders, global) ||
  storageClassOf(global) !== undefined ||
  (global.startsWith('torch.') && Object.hasOwn(elementBytes, global.slice('torch.'.length)))

function refusedGlobal(name: string, global: string): GradCamError {
  return new GradCamError(
    'ERR_MODEL_IS_EAGER_PICKLE',
    `${name} is a pickle that needs '${global}' of Python, which is not read here: only tensors, numbers, texts, lists and dicts are.`,
    {
      remedy: "Save the weights alone in Python: torch.save(model.state_dict(), 'weights.pth').",
      details: { global },
    },
  )
}

/** What the values of pickles mean that hold tensors and plain containers: dicts are maps, tuples and sets are arrays. */
class Meaning {
  /** Each storage that a value named, by its key. */
  readonly storages = new Map<string, PickledStorage>()
  readonly #made = new Map<Pickled, unknown>()

  constructor(private readonly file: string) {}

  /** Reads the pickle that begins at `start`. A value may hold itself. Throws {@link Malformed}, TypeError, RangeError. */
  read(bytes: Buffer, start: number): { value: unknown; end: number } {
    const onGlobal = (global: string): void => {
      if (!isKnown(global)) throw refusedGlobal(this.file, global)
    }
    const { value, end } = readPickleNow(bytes, { start, python: true, onGlobal })
    return { value: this.#of(value), end }
  }

  #of(value: Pickled): unknown {
    if (typeof value !== 'object' || value === null || value instanceof PickledGlobal) return value
    if (this.#made.has(value)) return this.#made.get(value)
    if (value instanceof PickledList) return this.#fillList(this.#remember(value, []), value)
    if (value instanceof PickledDict) return this.#fillMap(this.#remember(value, new Map()), value)
    if (value instanceof PickledReference) return this.#remember(value, this.#storage(this.#of(value.id)))
    const made = this.#remember(value, this.#call(value))
    if (value.dict.entries.length > 0) this.#fillMap(made, value.dict)
    if (value.list.items.length > 0) this.#fillList(made, value.list)
    return made
  }

  #remember<Value>(pickled: Pickled, value: Value): Value {
    this.#made.set(pickled, value)
    return value
  }

  #fillList(list: unknown, { items }: PickledList): unknown {
    if (!Array.isArray(list)) throw new TypeError('not a list')
    for (const item of items) list.push(this.#of(item))
    return list
  }

  #fillMap(map: unknown, { entries }: PickledDict): unknown {
    if (!(map instanceof Map)) throw new TypeError('not a dict')
    for (const [key, value] of entries) map.set(this.#of(key), this.#of(value))
    return map
  }

  #call({ callee, args }: PickledCall): unknown {
    const values = this.#of(args)
    if (!(callee instanceof PickledGlobal) || !Array.isArray(values)) throw new TypeError('not a call')
    const make = rebuilders[callee.name] ?? containers[callee.name]
    if (!make) throw refusedGlobal(this.file, callee.name)
    return make(values)
  }

  #storage(id: unknown): PickledStorage {
    if (!Array.isArray(id) || id[0] !== 'storage' || !(id[1] instanceof PickledGlobal))
      throw new TypeError('not a storage')
    const [, type, key, , elements, view] = id as [string, PickledGlobal, ...unknown[]]
    if (view !== undefined && view !== null) throw new TypeError('a view of a storage, as PyTorch 0.3 wrote it')
    const known = this.storages.get(String(key))
    if (known) return known
    const dtype = storageClassOf(type.name)?.dtype ?? null
    const storage = new PickledStorage(String(key), dtype, Number(elements))
    this.storages.set(storage.key, storage)
    return storage
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
  const meaning = new Meaning(name)
  const { value } = meaning.read(readRange(zip.record(pickle)), 0)
  for (const storage of meaning.storages.values()) storage.range = zip.record(`${folder}data/${storage.key}`)
  return value
}

/** The most that is read of an older file at once: its pickle, without its storages. */
const longestPickle = 256 * 2 ** 20

/** Five pickles: a magic number, a version, the system, the object, the keys of its storages. Then their bytes. */
function readOld({ source, position, length }: ByteRange): unknown {
  const bytes = source.read(position, Math.min(length, longestPickle))
  const meaning = new Meaning(source.name)
  const parts: unknown[] = []
  let at = 0
  for (let i = 0; i < 5; i++) {
    const { value, end } = meaning.read(bytes, at)
    parts.push(value)
    at = end
  }
  const keys = parts[4]
  if (!Array.isArray(keys)) throw new TypeError('not a list of keys')
  for (const key of keys as unknown[]) {
    const storage = meaning.storages.get(String(key))
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
