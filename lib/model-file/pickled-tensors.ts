import { Malformed } from '../archive/malformed.js'
import { PickledCall, PickledGlobal, PickledList, PickledReference, partsOf, type Pickled } from '../archive/pickled.js'
import { extentOf, storageClasses } from '../archive/stored-tensor.js'
import { sourceDepth } from './source-nesting.js'

/** Functions that make a tensor of (storage, offset, sizes, strides, ...). */
const tensorMakers = ['torch._utils._rebuild_tensor_v2', 'torch._utils._rebuild_qtensor']
/** A function of (value, type as text). */
const typeTag = 'torch.jit._pickle.restore_type_tag'

/** How deep values may lie in each other: code that walks them calls itself for each level. */
export const deepestValues = 500
const deepestTypes = 50
const mostDimensions = 64
/** LibTorch reads a storage once for each reference to it in the pickle, of which it writes one. */
const mostReadings = 4

/**
 * Checks that every tensor of a pickle lies within its storage, and every storage within its record, so that nobody reads or
 * writes beyond them; and that the values are not nested deeper than LibTorch can walk.
 *
 * @param recordSize the bytes of the record of a storage, by the storage's key; undefined where there is none
 *
 * Throws {@link Malformed}.
 */
export function checkPickledTensors(root: Pickled, recordSize: (key: string) => number | undefined): void {
  const storages = new Map<PickledReference, Storage>()
  for (const value of checkNesting(root)) {
    if (value instanceof PickledReference) storages.set(value, readStorage(value, recordSize))
    else if (value instanceof PickledCall) checkCall(value, storages)
  }
  const bytes = new Map<string, number>()
  let total = 0
  for (const storage of storages.values()) {
    total += storage.bytes
    bytes.set(storage.key, Math.max(storage.bytes, bytes.get(storage.key) ?? 0))
  }
  const distinct = [...bytes.values()].reduce((sum, one) => sum + one, 0)
  if (total > mostReadings * distinct)
    throw new Malformed(`it reads its ${distinct} bytes of tensors so often that they take ${total} bytes`)
}

/** All values that have parts, each after its parts. */
function checkNesting(root: Pickled): Set<Pickled> {
  const depths = new Map<Pickled, number>()
  const entered = new Set<Pickled>()
  const todo: Pickled[] = [root]
  while (todo.length > 0) {
    const value = todo.at(-1) as Pickled
    const parts = depths.has(value) ? [] : partsOf(value).filter(hasParts)
    if (parts.length === 0 || entered.has(value)) {
      todo.pop()
      if (depths.has(value)) continue
      let depth = 1
      for (const part of parts) depth = Math.max(depth, 1 + (depths.get(part) ?? 0))
      if (depth > deepestValues) throw new Malformed(`its values are nested deeper than ${deepestValues} levels`)
      depths.set(value, depth)
      entered.delete(value)
      continue
    }
    entered.add(value)
    for (const part of parts) {
      if (entered.has(part)) throw new Malformed('a value in it contains itself')
      if (!depths.has(part)) todo.push(part)
    }
  }
  return new Set(depths.keys())
}

function hasParts(value: Pickled): boolean {
  return typeof value === 'object' && value !== null && !(value instanceof PickledGlobal)
}

interface Storage {
  readonly key: string
  readonly elements: number
  readonly bytes: number
}

/** ('storage', class, key, device, elements) */
function readStorage({ id }: PickledReference, recordSize: (key: string) => number | undefined): Storage {
  const [kind, type, key, , elements] = id instanceof PickledList ? id.items : []
  const size = type instanceof PickledGlobal ? storageClasses[type.name.replace(/^torch\./, '')]?.bytes : undefined
  if (kind !== 'storage' || typeof key !== 'string' || !isCount(elements) || size === undefined)
    throw new Malformed('a tensor in it has a storage that is not described as PyTorch describes it')
  const bytes = elements * size
  const stored = recordSize(key) ?? 0
  if (bytes > stored) throw new Malformed(`a tensor in it takes ${bytes} bytes, and its record ${key} has ${stored}`)
  return { key, elements, bytes }
}

function checkCall(value: PickledCall, storages: ReadonlyMap<PickledReference, Storage>): void {
  const { callee, args } = value
  if (value.dict.entries.length > 0 || value.list.items.length > 0)
    throw new Malformed('it puts values into something that is not a list or a dict')
  if (!(callee instanceof PickledGlobal) || !(args instanceof PickledList)) return
  const { items } = args
  if (callee.name === typeTag && typeof items[1] === 'string' && sourceDepth(items[1]).brackets > deepestTypes)
    throw new Malformed(`the type of a value in it is nested deeper than ${deepestTypes} levels`)
  if (!tensorMakers.includes(callee.name)) return
  const [reference, offset, sizes, strides] = items
  const storage = reference instanceof PickledReference ? storages.get(reference) : undefined
  const shape = countsIn(sizes)
  const steps = countsIn(strides)
  if (!storage || !isCount(offset) || !shape || !steps || shape.length !== steps.length)
    throw new Malformed('a tensor in it is not described as PyTorch describes it')
  const { elements, end } = extentOf({ sizes: shape, strides: steps, offset })
  if (!Number.isSafeInteger(elements)) throw new Malformed('a tensor in it has more elements than can be counted')
  if (end > storage.elements)
    throw new Malformed(`a tensor in it reaches to element ${end} of a storage of ${storage.elements}`)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** The numbers of a shape or of strides; null where they are not that. */
function countsIn(value: Pickled | undefined): number[] | null {
  if (!(value instanceof PickledList) || value.items.length > mostDimensions) return null
  return value.items.every(isCount) ? value.items : null
}
