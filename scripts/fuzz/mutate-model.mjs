// Model files with something wrong in them: their bytes, their records, their source, their pickles.
import { keysOf } from '../support/access.mjs'
import { deepPickle, mutateDtype, mutateGlobal, mutateIntegers, mutateOpcodes } from './mutate-pickle.mjs'
import { mutateSource } from './mutate-source.mjs'
import { mutateBytes } from './random.mjs'
import { readZip, writeZip } from './zip.mjs'

/**
 * @typedef {import('./random.mjs').Random} Random
 * @typedef {import('./zip.mjs').Record} ZipRecord
 * @typedef {(bytes: Buffer, random: Random) => { data: Buffer, what: string }} Mutation of a record, and in words what it did
 */

/** The first record whose name ends so. */
function recordOf(/** @type {ZipRecord[]} */ records, /** @type {string} */ ending) {
  const found = records.find(({ name }) => name.endsWith(ending))
  if (!found) throw new Error(`the archive has no record ${ending}`)
  return found
}

/** The mutation of the model's pickle. */
const ofData =
  (/** @type {Mutation} */ mutation) => (/** @type {ZipRecord[]} */ records, /** @type {Random} */ random) =>
    mutateRecord(recordOf(records, '/data.pkl'), mutation, random)

/** @type {(record: ZipRecord, mutation: Mutation, random: Random) => string} */
function mutateRecord(record, mutation, random) {
  const { data, what } = mutation(record.data, random)
  record.data = data
  return what
}

/**
 * Mutations of the records of an archive. They change them in place, and say in words what they did.
 *
 * @satisfies {Record<string, (records: ZipRecord[], random: Random) => string>}
 */
export const recordMutations = {
  records(records, random) {
    const [one, other] = [random.pick(records), random.pick(records)]
    const changes = {
      swapped: () => ([one.data, other.data] = [other.data, one.data]),
      removed: () => records.splice(records.indexOf(one), 1),
      cut: () => (one.data = one.data.subarray(0, random.integer(one.data.length + 1))),
      lengthened: () => (one.data = Buffer.concat([one.data, Buffer.alloc(random.integer(5000))])),
      doubled: () => records.push({ ...one }),
      renamed: () =>
        (one.name = random.pick([
          `${one.name}x`,
          `../${one.name}`,
          '',
          other.name,
          one.name.replace('/', '//'),
          'x/'.repeat(2000),
        ])),
      'of another size': () => (one.claimed = random.pick([0, 1, one.data.length + 1, 2 ** 31 - 1, 2 ** 32 - 1])),
      emptied: () => (one.data = Buffer.alloc(0)),
      'with a wrong sum': () => (one.wrongSum = true),
    }
    const how = random.pick(keysOf(changes))
    const what = `${one.name} ${how}`
    changes[how]()
    return what
  },
  storage(records, random) {
    const one = random.pick(records.filter(({ name }) => /\/data\/\d+$/.test(name)))
    const length = random.pick([0, 1, one.data.length >> 1, Math.max(0, one.data.length - 1)])
    one.data = one.data.subarray(0, length)
    return `${one.name} cut to ${length} bytes`
  },
  source(records, random) {
    const sources = records.filter(({ name }) => /code\/.*\.py$/.test(name))
    const done = []
    for (let times = random.integer(3); times >= 0; times--) {
      const one = random.pick(sources)
      const { source, what } = mutateSource(one.data.toString(), random)
      one.data = Buffer.from(source)
      done.push(what)
    }
    return done.join(', ')
  },
  integer(records, random) {
    // What torch.save writes has one pickle alone.
    const hasConstants = records.some(({ name }) => name.endsWith('/constants.pkl'))
    const one = recordOf(records, random.next() < 0.9 || !hasConstants ? '/data.pkl' : '/constants.pkl')
    return mutateRecord(one, mutateIntegers, random)
  },
  dtype: ofData(mutateDtype),
  pickle: ofData(mutateOpcodes),
  global: ofData(mutateGlobal),
  constants(records, random) {
    const one = recordOf(records, '/constants.pkl')
    const pickles = {
      "the model's": recordOf(records, '/data.pkl').data,
      'an integer': Buffer.from('\x80\x02K\x01.', 'latin1'),
      'a deep tuple': Buffer.from(`\x80\x02${'('.repeat(100_000)})t.`, 'latin1'),
      'a list': Buffer.from('\x80\x02](K\x01K\x02e.', 'latin1'),
    }
    const which = random.pick(keysOf(pickles))
    one.data = pickles[which]
    return which
  },
  version(records, random) {
    const one = random.pick(records.filter(({ name }) => /(?:version|byteorder|serialization_id)$/.test(name)))
    const value = random.pick(['', '0', '-1', '2', '9'.repeat(21), 'big', 'abc', '3\n', '1'])
    one.data = Buffer.from(value)
    return `${one.name} ${JSON.stringify(value)}`
  },
  'deep pickle': ofData(deepPickle),
}

/** @type {('bytes' | keyof typeof recordMutations)[]} What is done most often is where most was found. */
const ways = [
  'bytes',
  ...keysOf(recordMutations),
  'source',
  'source',
  'source',
  'integer',
  'integer',
  'integer',
  'pickle',
  'pickle',
  'records',
  'bytes',
  'storage',
]

/** A model file with something wrong in it, and in words what was done. */
export function mutateModel(/** @type {Buffer} */ bytes, /** @type {Random} */ random) {
  const way = random.pick(ways)
  if (way === 'bytes') return mutateBytes(bytes, random)
  const records = readZip(bytes)
  const what = recordMutations[way](records, random)
  return { bytes: writeZip(records), what: `${way}: ${what}`.slice(0, 200) }
}
