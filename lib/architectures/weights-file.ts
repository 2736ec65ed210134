import { basename, dirname, join } from 'node:path'
import { damaged, openBytes, type ByteSource } from '../archive/byte-source.js'
import { isSafetensors, readSafetensors } from '../archive/safetensors.js'
import type { StoredTensor } from '../archive/stored-tensor.js'
import { isOldTorchSave, PickledTensor, readTorchSave } from '../archive/torch-save.js'
import { GradCamError } from '../base/errors.js'

/** The tensors of a file of weights, by name, and where in the file they were found. */
export interface WeightsFile {
  readonly name: string
  readonly format: 'safetensors' | 'torch.save'
  readonly tensors: ReadonlyMap<string, StoredTensor>
  /** The key of the dict that holds them, e.g. 'state_dict' in a checkpoint; null where they are the file itself. */
  readonly key: string | null
}

/** Under which checkpoints keep their weights, the likeliest first. */
const likelyKeys = [
  'state_dict',
  'model_state_dict',
  'state_dict_ema',
  'model',
  'model_ema',
  'net',
  'module',
  'weights',
]

/**
 * Reads the names, shapes and positions of all tensors of a file of weights: a state dict or a checkpoint of torch.save, or
 * safetensors, in one file or in several with an index. Nothing is executed.
 *
 * @throws GradCamError ERR_FILE_NOT_FOUND, ERR_FILE_UNREADABLE, ERR_MODEL_CORRUPT, ERR_MODEL_IS_EAGER_PICKLE, ERR_WEIGHTS
 */
export function readWeights(from: string | Uint8Array): WeightsFile {
  using source = openBytes(from)
  if (typeof from === 'string' && from.endsWith('.json')) return readSharded(source, from)
  const start = source.read(0, Math.min(source.size, 16))
  if (isSafetensors(start))
    return { name: source.name, format: 'safetensors', tensors: readSafetensors(source), key: null }
  if (start.subarray(0, 2).toString('latin1') === 'PK' || isOldTorchSave(start)) return readSaved(source)
  throw new GradCamError('ERR_WEIGHTS', `${source.name} is not a file of weights that is known here.`, {
    remedy: 'Give a file of torch.save (a state dict or a checkpoint), safetensors, or the index (.json) of several.',
  })
}

/** An index of safetensors: which file, in the same folder, holds each tensor. */
function readSharded(source: ByteSource, path: string): WeightsFile {
  let map: unknown
  try {
    map = (JSON.parse(source.read(0, source.size).toString('utf8')) as { weight_map?: unknown } | null)?.weight_map
  } catch (cause) {
    throw damaged(source.name, 'it is not JSON', cause)
  }
  if (typeof map !== 'object' || map === null)
    throw damaged(source.name, 'it has no `weight_map`, as an index of safetensors has')
  const tensors = new Map<string, StoredTensor>()
  const files = new Map<string, ReadonlyMap<string, StoredTensor>>()
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== 'string' || basename(file) !== file)
      throw damaged(source.name, `it names a file outside its folder for '${name}'`)
    let shard = files.get(file)
    if (!shard) {
      using bytes = openBytes(join(dirname(path), file))
      files.set(file, (shard = readSafetensors(bytes)))
    }
    const tensor = shard.get(name)
    if (!tensor) throw damaged(source.name, `'${file}' has no tensor '${name}'`)
    tensors.set(name, tensor)
  }
  return { name: source.name, format: 'safetensors', tensors, key: null }
}

function readSaved(source: ByteSource): WeightsFile {
  const value = readTorchSave({ source, position: 0, length: source.size })
  const found = findTensors(value)
  if (!found) {
    const holds =
      value instanceof Map ? `a dict of ${[...value.keys()].slice(0, 5).map(String).join(', ')}` : typeof value
    throw new GradCamError('ERR_WEIGHTS', `${source.name} holds no dict of tensors, but ${holds}.`, {
      remedy: "Save the weights alone in Python: torch.save(model.state_dict(), 'weights.pth').",
    })
  }
  const tensors = new Map<string, StoredTensor>()
  for (const [name, tensor] of found.dict)
    if (tensor instanceof PickledTensor) tensors.set(String(name), tensor.stored(String(name), source.name))
  return { name: source.name, format: 'torch.save', tensors, key: found.key }
}

/** The dict with the most tensors, among the value and those one level inside it. */
function findTensors(value: unknown): { key: string | null; dict: ReadonlyMap<unknown, unknown> } | null {
  if (!(value instanceof Map)) return null
  const count = (dict: ReadonlyMap<unknown, unknown>): number => {
    let tensors = 0
    for (const each of dict.values()) if (each instanceof PickledTensor) tensors++
    return tensors
  }
  const candidates: { key: string | null; dict: ReadonlyMap<unknown, unknown> }[] = [{ key: null, dict: value }]
  for (const [key, inner] of value as Map<unknown, unknown>)
    if (inner instanceof Map) candidates.push({ key: String(key), dict: inner })
  const rank = ({ key }: { key: string | null }): number => {
    const at = likelyKeys.indexOf(key ?? '')
    return at < 0 ? likelyKeys.length : at
  }
  const best = candidates.sort((a, b) => count(b.dict) - count(a.dict) || rank(a) - rank(b))[0]
  return best && count(best.dict) > 0 ? best : null
}
