// JSON with something wrong in it: values of another kind, names that lead elsewhere, parts that are missing, twice or too deep.

/** @typedef {import('./random.mjs').Random} Random */
/** @typedef {null | boolean | number | string | Json[] | { [key: string]: Json }} Json */
/** @typedef {{ holder: Json[] | { [key: string]: Json }, key: string }} Place of a value */

/** Where a text is put together after it was written: JSON.stringify has no stack for it. */
const deepMark = '@deep@'

/** @type {readonly Json[]} */
const hostile = [
  null,
  true,
  false,
  0,
  -1,
  1,
  2,
  1.5,
  255,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  1e12,
  2 ** 53 - 1,
  2 ** 63,
  -(2 ** 63),
  1e300,
  '',
  'x',
  '0',
  '-1',
  '9223372036854775807',
  '../../x',
  '/etc/hostname',
  '"',
  '\n    return None',
  '\0',
  '😀',
  'self',
  'x'.repeat(5000),
  'torch.ops.aten.from_file.default',
  'torch.ops.aten.set_.source_Tensor',
  'torch.ops.aten.as_strided.default',
  'torch.ops.higher_order.cond',
  'torch.ops.nope.nope.default',
  '__proto__',
  [],
  {},
  [[]],
  { as_int: 2 ** 40 },
  { as_none: true },
  deepMark,
]

/** All values in a value, but itself. */
function placesIn(/** @type {Json} */ whole) {
  /** @type {Place[]} */
  const places = []
  /** @type {Json[]} */
  const open = [whole]
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (typeof value !== 'object' || value === null) continue
    for (const key of Object.keys(value)) {
      places.push({ holder: value, key })
      open.push(valueAt({ holder: value, key }))
    }
  }
  return places
}

const valueAt = (/** @type {Place} */ { holder, key }) =>
  /** @type {Json} */ (/** @type {{ [key: string]: Json }} */ (holder)[key])

function put(/** @type {Place} */ { holder, key }, /** @type {Json} */ value) {
  // A key such as __proto__ is a key like any other here.
  Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true })
}

function remove(/** @type {Place} */ { holder, key }) {
  if (Array.isArray(holder)) holder.splice(Number(key), 1)
  else Reflect.deleteProperty(holder, key)
}

function repeat(/** @type {Place} */ place, /** @type {number} */ times) {
  const { holder, key } = place
  const value = valueAt(place)
  if (Array.isArray(holder)) for (let i = 0; i < times; i++) holder.splice(Number(key), 0, value)
  else for (let i = 0; i < times; i++) put({ holder, key: `${key}${i}` }, value)
}

/** @type {Record<string, (places: Place[], random: Random) => void>} */
const changes = {
  hostile: (places, random) => put(random.pick(places), random.pick(hostile)),
  number: (places, random) => {
    const numbers = places.filter((place) => typeof valueAt(place) === 'number')
    const chosen = hostile.filter((value) => typeof value === 'number')
    if (numbers.length > 0) put(random.pick(numbers), random.pick(chosen))
  },
  text: (places, random) => {
    const texts = places.filter((place) => typeof valueAt(place) === 'string')
    if (texts.length > 0) put(random.pick(texts), valueAt(random.pick(texts)))
  },
  swapped: (places, random) => {
    const [one, other] = [random.pick(places), random.pick(places)]
    const [first, second] = [structuredClone(valueAt(one)), structuredClone(valueAt(other))]
    put(one, second)
    put(other, first)
  },
  removed: (places, random) => remove(random.pick(places)),
  repeated: (places, random) => repeat(random.pick(places), random.pick([1, 1, 10, 1000])),
}

/** Characters that end, begin or separate something. */
const signs = ['{', '}', '[', ']', ',', ':', '"', '\\', '\0', '-', 'e', '1'.repeat(400), 'NaN', '-Infinity', '\u2028']

/**
 * A text of JSON with something wrong in it, and in words what was done.
 *
 * @param {string} text
 * @param {Random} random
 * @returns {{ text: string, what: string }}
 */
export function mutateJson(text, random) {
  if (random.integer(12) === 0) {
    const at = random.integer(text.length)
    const sign = random.pick(signs)
    return { text: text.slice(0, at) + sign + text.slice(at + random.integer(3)), what: `${sign.slice(0, 9)} at ${at}` }
  }
  /** @type {Json} */
  const whole = JSON.parse(text)
  const done = []
  for (let times = random.pick([1, 1, 1, 2, 4]); times > 0; times--) {
    const places = placesIn(whole)
    const kind = random.pick(Object.keys(changes))
    if (places.length > 0) changes[kind]?.(places, random)
    done.push(kind)
  }
  const deep = random.pick([100, 10_000, 200_000])
  const nested = '['.repeat(deep) + ']'.repeat(deep)
  return { text: JSON.stringify(whole).replace(`"${deepMark}"`, nested), what: done.join(', ') }
}
