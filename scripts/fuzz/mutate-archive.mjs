// What PyTorch saves, with something wrong in it: exported programs (.pt2) and files of weights.
import { mutateJson } from './mutate-json.mjs'
import { recordMutations } from './mutate-model.mjs'
import { mutateBytes } from './random.mjs'
import { readZip, writeZip } from './zip.mjs'

/** @typedef {import('./random.mjs').Random} Random */
/** @typedef {import('./zip.mjs').Record} Record */
/** @typedef {{ bytes: Buffer, what: string }} Mutated */

/** Those that concern a pickle and its storages alone. */
const ofPickles = /** @type {const} */ ([
  'integer',
  'integer',
  'integer',
  'pickle',
  'pickle',
  'dtype',
  'global',
  'deep pickle',
])
const ofSaved = /** @type {const} */ ([...ofPickles, 'records', 'storage', 'version'])

/** @returns {Mutated} of an archive of torch.save, also one inside another archive */
function mutateSavedZip(/** @type {Buffer} */ bytes, /** @type {Random} */ random) {
  const records = readZip(bytes)
  const hasStorages = records.some(({ name }) => /\/data\/\d+$/.test(name))
  const way = random.pick(hasStorages ? ofSaved : ofPickles)
  const what = recordMutations[way](records, random)
  return { bytes: writeZip(records), what: `${way}: ${what}` }
}

/** Where the storages of an older file of torch.save begin, which has one alone: a number of elements, and their bytes. */
function endOfPickles(/** @type {Buffer} */ bytes) {
  for (let at = 0; at + 8 <= bytes.length; at++)
    if (bytes.readBigInt64LE(at) === BigInt(((bytes.length - at - 8) / 4) | 0)) return at
  throw new Error('the file does not end with one storage of float32')
}

/** @returns {Mutated} of a file of torch.save before PyTorch 1.6: pickles, and then bytes */
function mutateSavedOld(/** @type {Buffer} */ bytes, /** @type {Random} */ random) {
  const end = endOfPickles(bytes)
  const records = [{ name: 'old/data.pkl', data: bytes.subarray(0, end) }]
  const way = random.pick(ofPickles)
  const what = recordMutations[way](records, random)
  return { bytes: Buffer.concat([records[0]?.data ?? Buffer.alloc(0), bytes.subarray(end)]), what: `${way}: ${what}` }
}

/** @returns {Mutated} of a file of safetensors: the length of a JSON header, the header, the bytes */
function mutateSafetensors(/** @type {Buffer} */ bytes, /** @type {Random} */ random) {
  const length = Number(bytes.readBigUInt64LE())
  const { text, what } = mutateJson(bytes.toString('utf8', 8, 8 + length), random)
  const header = Buffer.from(text)
  const start = Buffer.alloc(8)
  const claimed = random.integer(8) === 0 ? random.pick([0, 1, 7, length, 2 ** 31, 2 ** 53]) : header.length
  start.writeBigUInt64LE(BigInt(claimed))
  return { bytes: Buffer.concat([start, header, bytes.subarray(8 + length)]), what }
}

/** A file of weights with something wrong in it. @returns {Mutated} */
export function mutateWeights(/** @type {Buffer} */ bytes, /** @type {Random} */ random) {
  if (random.integer(6) === 0) return mutateBytes(bytes, random)
  if (bytes.toString('latin1', 0, 2) === 'PK') return mutateSavedZip(bytes, random)
  return bytes[0] === 0x80 ? mutateSavedOld(bytes, random) : mutateSafetensors(bytes, random)
}

/** @returns {string} what was done to one record, in words */
function mutateRecord(/** @type {Record} */ record, /** @type {Random} */ random) {
  if (record.name.endsWith('.json')) {
    const { text, what } = mutateJson(record.data.toString(), random)
    record.data = Buffer.from(text)
    return what
  }
  const mutate = record.name.endsWith('.pt') ? mutateSavedZip : mutateBytes
  const { bytes, what } = mutate(record.data, random)
  record.data = bytes
  return what
}

/** An exported program with something wrong in it. @returns {Mutated} */
export function mutateProgram(/** @type {Buffer} */ bytes, /** @type {Random} */ random) {
  const way = random.integer(12)
  if (way === 0) return mutateBytes(bytes, random)
  const records = readZip(bytes)
  if (way === 1) return { what: recordMutations.records(records, random), bytes: writeZip(records) }
  // The graph and the tables of tensors decide more than what lies beside them.
  const described = records.filter(({ name, data }) => data.length > 0 && /\.json$|\.pt$/.test(name))
  const graphs = described.filter(({ name }) => /models\/.*\.json$|exported_program\.json$/.test(name))
  const record = random.pick(way < 7 ? graphs : way < 11 ? described : records.filter(({ data }) => data.length > 0))
  const what = `${record.name}: ${mutateRecord(record, random)}`
  return { bytes: writeZip(records), what: what.slice(0, 200) }
}
