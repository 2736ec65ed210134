// Random choices that a seed decides.
import { itemAt } from '../support/access.mjs'

/**
 * @typedef {object} Random
 * @property {() => number} next from 0 up to 1
 * @property {(below: number) => number} integer from 0 up to, not including, `below`
 * @property {<T>(choices: readonly T[]) => T} pick one of them
 */

/** @returns {Random} mulberry32: the same numbers for the same seed, on every machine */
export function randomOf(/** @type {number} */ seed) {
  // Neighbouring seeds begin far from each other.
  let state = Math.imul(seed + 1, 0x9e3779b1)
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const integer = (/** @type {number} */ below) => Math.floor(next() * below)
  return { next, integer, pick: (choices) => itemAt(choices, integer(choices.length)) }
}

/** Bytes with some of them changed, a part left out, or one put in; and in words what was done. */
export function mutateBytes(/** @type {Buffer} */ bytes, /** @type {Random} */ random) {
  const way = random.integer(4)
  if (way === 0) {
    const length = random.integer(bytes.length)
    return { bytes: bytes.subarray(0, length), what: `cut to ${length} bytes` }
  }
  if (way === 1) {
    const at = random.integer(bytes.length)
    const put = Buffer.alloc(random.integer(40), random.integer(256))
    const rest = bytes.subarray(at + random.integer(20))
    return { bytes: Buffer.concat([bytes.subarray(0, at), put, rest]), what: `${put.length} bytes put in at ${at}` }
  }
  const changed = Buffer.from(bytes)
  // Headers, and the directory at the end of an archive, decide more than what lies between.
  const within = random.pick([bytes.length, Math.min(bytes.length, 300)])
  const from = random.pick([0, bytes.length - within])
  const count = 1 + random.integer(random.pick([1, 4, 32]))
  for (let i = 0; i < count; i++) {
    const at = from + random.integer(within)
    changed[at] = random.pick([(changed[at] ?? 0) ^ (1 << random.integer(8)), 0, 127, 128, 255, random.integer(256)])
  }
  return { bytes: changed, what: `${count} of ${within} bytes from ${from} on changed` }
}
