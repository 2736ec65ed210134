// Pickles with something wrong in them.
import { keysOf } from '../support/access.mjs'
import { integers, replaceOne } from './edits.mjs'

/** @typedef {import('./random.mjs').Random} Random */

const storages = [
  'Float',
  'Double',
  'Half',
  'Long',
  'Int',
  'Short',
  'Char',
  'Byte',
  'Bool',
  'BFloat16',
  'ComplexFloat',
  'QInt8',
  'QInt32',
  'Untyped',
  'Nope',
].map((name) => `${name}Storage`)
const globals = [
  'torch._utils\n_rebuild_qtensor',
  'torch._utils\n_rebuild_parameter',
  'torch._utils\n_rebuild_sparse_tensor',
  'torch.jit._pickle\nbuild_intlist',
  'torch.jit._pickle\nrestore_type_tag',
  'torch.jit._pickle\nbuild_tensor_from_id',
  'torch\nnope',
  'torch\ndevice',
  'os\nsystem',
  'collections\nOrderedDict',
  '__torch__.Nope',
  'xyz',
  'cuda',
  'meta',
]
const texts = [
  'torch._utils\n_rebuild_tensor_v2',
  'collections\nOrderedDict',
  'cpu',
  'storage',
  'weight',
  'training',
  '__torch__.',
]

/** How many bytes follow an opcode that has a fixed number of them: those with an integer, and others. */
const integerBytes = new Map([
  ['K', 1],
  ['M', 2],
  ['J', 4],
])
const otherBytes = new Map([
  ['q', 1],
  ['h', 1],
  ['r', 4],
  ['j', 4],
  ['G', 8],
])

/** Where the integers of a pickle are: offset and length of the opcode with its argument. */
function pickledIntegers(/** @type {Buffer} */ pickle) {
  const found = []
  for (let at = 2; at < pickle.length - 1; at++) {
    const opcode = String.fromCharCode(pickle.readUInt8(at))
    const bytes = opcode === '\x8a' ? 1 + pickle.readUInt8(at + 1) : integerBytes.get(opcode)
    if (bytes !== undefined) found.push({ at, length: 1 + bytes })
    // What an opcode is followed by is none itself.
    if (bytes !== undefined) at += bytes
    else if (opcode === 'X') at += 4 + pickle.readUInt32LE(at + 1)
    else if (opcode === 'c') at = pickle.indexOf(10, pickle.indexOf(10, at) + 1)
    else at += otherBytes.get(opcode) ?? 0
  }
  return found
}

function pickledInteger(/** @type {number | string} */ value) {
  const long = Buffer.from([0x8a, 8, 0, 0, 0, 0, 0, 0, 0, 0])
  long.writeBigInt64LE(BigInt(value), 2)
  if (typeof value === 'string' || Math.abs(value) >= 2 ** 31) return long
  const short = Buffer.from('J\0\0\0\0')
  short.writeInt32LE(value, 1)
  return short
}

/** @type {(bytes: Buffer, at: number, length: number, put: Buffer) => Buffer} */
const spliced = (bytes, at, length, put) => Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + length)])

/** A pickle with other integers in it, and in words which. */
export function mutateIntegers(/** @type {Buffer} */ pickle, /** @type {Random} */ random) {
  let data = pickle
  const done = []
  for (let times = random.integer(4); times >= 0; times--) {
    const places = pickledIntegers(data)
    if (places.length === 0) break
    const { at, length } = random.pick(places)
    const value = random.pick(integers)
    data = spliced(data, at, length, pickledInteger(value))
    done.push(`${value} at ${at}`)
  }
  return { data, what: done.join(', ') }
}

/** A pickle with a tensor of another dtype. */
export function mutateDtype(/** @type {Buffer} */ pickle, /** @type {Random} */ random) {
  const what = random.pick(storages)
  const text = replaceOne(pickle.toString('latin1'), /\w+Storage/g, random, () => what)
  return { data: Buffer.from(text, 'latin1'), what }
}

/** A pickle with other opcodes, or bytes of any kind. */
export function mutateOpcodes(/** @type {Buffer} */ pickle, /** @type {Random} */ random) {
  const data = Buffer.from(pickle)
  const opcodes = [...Buffer.from('(]}).taeRbucq0K1N\x88\x89\x85\x86\x87h', 'latin1')]
  const count = 1 + random.integer(4)
  for (let i = 0; i < count; i++) {
    const at = random.integer(data.length)
    data[at] = random.pick([data.readUInt8(at) ^ (1 << random.integer(8)), random.pick(opcodes), random.integer(256)])
  }
  return { data, what: `${count} bytes` }
}

/** A pickle that names something else. */
export function mutateGlobal(/** @type {Buffer} */ pickle, /** @type {Random} */ random) {
  const [from, to] = [random.pick(texts), random.pick(globals)]
  const at = pickle.indexOf(from, 0, 'latin1')
  if (at < 0) return { data: pickle, what: 'nothing' }
  // A text has its length before it.
  const isText = pickle[at - 5] === 'X'.charCodeAt(0)
  const data = spliced(pickle, at, from.length, Buffer.from(to, 'latin1'))
  if (isText) data.writeUInt32LE(Math.max(0, data.readUInt32LE(at - 4) + to.length - from.length), at - 4)
  return { data, what: `${JSON.stringify(from)} to ${JSON.stringify(to)}` }
}

/** Something so deep that a reader that calls itself has no stack left. */
export function deepPickle(/** @type {Buffer} */ pickle, /** @type {Random} */ random) {
  const deep = random.pick([1000, 100_000, 1_000_000])
  const pickles = {
    lists: Buffer.from(`\x80\x02${']'.repeat(deep)}${'a'.repeat(deep - 1)}.`, 'latin1'),
    tuples: Buffer.from(`\x80\x02)${'\x85'.repeat(deep)}.`, 'latin1'),
    marks: Buffer.from(`\x80\x02${'('.repeat(deep)}.`, 'latin1'),
    'marks before the model': Buffer.concat([pickle.subarray(0, 2), Buffer.alloc(deep, '('), pickle.subarray(2)]),
  }
  const which = random.pick(keysOf(pickles))
  return { data: pickles[which], what: `${deep} ${which}` }
}
