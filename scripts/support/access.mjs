/**
 * The item at an index, which counts from the end where it is negative; an error where it does not exist.
 *
 * @template T
 * @param {{ readonly length: number, at(index: number): T | undefined }} items
 * @param {number} index
 */
export function itemAt(items, index) {
  const item = items.at(index)
  if (item === undefined) throw new RangeError(`item ${index} of ${items.length} does not exist`)
  return item
}

/**
 * Whether an object has a key of its own with this name.
 *
 * @template {object} T
 * @param {T} object
 * @param {PropertyKey} name
 * @returns {name is keyof T}
 */
export const hasKey = (object, name) => Object.hasOwn(object, name)

/**
 * The keys of an object, with their type.
 *
 * @template {object} T
 * @param {T} object
 */
export const keysOf = (object) => Object.keys(object).filter((name) => hasKey(object, name))

/**
 * The value of a key; an error where it does not exist.
 *
 * @template T
 * @param {Readonly<Record<string, T>>} record
 * @param {string} key
 */
export function valueOf(record, key) {
  const value = Object.hasOwn(record, key) ? record[key] : undefined
  if (value === undefined) throw new RangeError(`${key} is not one of ${Object.keys(record).join(', ')}`)
  return value
}
