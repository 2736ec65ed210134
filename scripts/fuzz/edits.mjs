// What the mutations of sources and of pickles share.
/** @typedef {import('./random.mjs').Random} Random */

/** Where integers go wrong: around zero, around powers of two, and what leaves int64 by a sum or product. */
export const integers = [
  0,
  1,
  -1,
  2,
  3,
  7,
  31,
  64,
  127,
  128,
  255,
  256,
  1000,
  65_535,
  65_536,
  2 ** 20,
  2 ** 24,
  2 ** 31 - 1,
  -(2 ** 31),
  2 ** 32,
  1e12,
  2 ** 53 - 1,
  '9223372036854775807',
  '-9223372036854775808',
]

/**
 * One of the matches of a pattern, with something else in its place.
 *
 * @param {string} text
 * @param {RegExp} pattern
 * @param {Random} random
 * @param {(found: string) => string} make
 */
export function replaceOne(text, pattern, random, make) {
  const matches = [...text.matchAll(pattern)]
  if (matches.length === 0) return text
  const match = random.pick(matches)
  return text.slice(0, match.index) + make(match[0]) + text.slice(match.index + match[0].length)
}
