import { invalid, toList } from '../base/check.js'

/** A name or a position: one step through the dicts and tuples of an output. */
export const isStep = (value: unknown): value is string | number =>
  typeof value === 'string' || Number.isSafeInteger(value)

/** The path to a tensor in an output, as an array; undefined where none is given. */
export function toPath(of: unknown): (string | number)[] | undefined {
  if (of === undefined) return undefined
  const path: readonly unknown[] = toList(of) ?? [of]
  if (path.every(isStep)) return [...path]
  throw invalid('of', 'a name, a position, or an array of them', of, { code: 'ERR_TARGET' })
}
