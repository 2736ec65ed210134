import { invalid, toList } from '../base/check.js'
import type { GradCamErrorCode } from '../base/errors.js'

/** A name or a position: one step through the dicts and tuples of an output. */
export const isStep = (value: unknown): value is string | number =>
  typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value))

/** A number that is not an integer can only be a key of a dict, which has the name that JavaScript writes for it. */
export const toStep = (step: string | number): string | number => (Number.isSafeInteger(step) ? step : String(step))

/** The path to a tensor in an output, as an array; undefined where none is given. */
export function toPath(
  of: unknown,
  name = 'of',
  code: GradCamErrorCode = 'ERR_TARGET',
): (string | number)[] | undefined {
  if (of === undefined) return undefined
  const path: readonly unknown[] = toList(of) ?? [of]
  if (path.every(isStep)) return path.map(toStep)
  throw invalid(name, 'a name, a position, or an array of them', of, { code })
}
