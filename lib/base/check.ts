import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { GradCamError, type GradCamErrorCode } from './errors.js'

/** A value as an error shows it: in one line, and short, whatever the value is. */
export function show(value: unknown): string {
  try {
    const options = { depth: 1, breakLength: Infinity, maxArrayLength: 12, maxStringLength: 120 }
    const text = (value instanceof URL ? value.href : inspect(value, options)).replaceAll(/\s*\n\s*/g, ' ')
    return text.length > 200 ? `${text.slice(0, 200)}…` : text
  } catch {
    return `a value of type ${typeof value}` // its own way to be printed throws
  }
}

/** Whether every use of a value throws an error of V8: it is a Proxy that was revoked. */
function isRevoked(value: unknown): boolean {
  try {
    Array.isArray(value)
    return false
  } catch {
    return true
  }
}

/** An array, copied: its own may change while a call uses it. Null for anything else. */
export function toList(value: unknown): unknown[] | null {
  return !isRevoked(value) && Array.isArray(value) ? [...(value as readonly unknown[])] : null
}

/** `instanceof`, which a revoked Proxy would turn into an error of V8. */
export function isInstance<Type extends object>(
  value: unknown,
  type: abstract new (...args: never) => Type,
): value is Type {
  return !isRevoked(value) && value instanceof type
}

/** Whether a value is an object that can be read: neither null nor an array nor a function. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !isRevoked(value) && !Array.isArray(value)
}

/** Whether a value can be called: a class can only be constructed. */
export function isCallable(value: unknown): value is (...args: never) => unknown {
  if (typeof value !== 'function') return false
  // The prototype of a class cannot be replaced, that of a function can; an arrow function has none.
  const { writable = true } = Object.getOwnPropertyDescriptor(value, 'prototype') ?? {}
  return writable || !Function.prototype.toString.call(value).startsWith('class')
}

/** The error of an argument that is not what it must be: "`name` must be EXPECTED, but is VALUE." */
export function invalid(
  name: string,
  expected: string,
  value: unknown,
  { code = 'ERR_INVALID_ARGUMENT', remedy }: { code?: GradCamErrorCode; remedy?: string } = {},
): GradCamError {
  const details = { argument: name, expected, value: show(value) }
  return new GradCamError(code, `\`${name}\` must be ${expected}, but is ${details.value}.`, { remedy, details })
}

/** Names or values in a sentence: "'a', 'b' or 'c'". */
export function either(choices: readonly unknown[]): string {
  const all = choices.map((choice) => inspect(choice))
  return all.length < 2 ? all.join('') : `${all.slice(0, -1).join(', ')} or ${all.at(-1)}`
}

/** The bounds of a number; both ends of `min` and `max` are allowed, those of `above` and `below` are not. */
interface Range {
  readonly min?: number
  readonly above?: number
  readonly max?: number
  readonly below?: number
}

function words(noun: string, { min, above, max, below }: Range): string {
  const from = min !== undefined ? `from ${min}` : above !== undefined ? `above ${above}` : ''
  const upTo = above === undefined ? 'to' : 'up to'
  const to =
    max !== undefined ? `${upTo} ${max}` : below !== undefined ? `to less than ${below}` : min === undefined ? '' : 'on'
  return [noun, from, to].filter(Boolean).join(' ')
}

function lies(value: number, { min = -Infinity, above = -Infinity, max = Infinity, below = Infinity }: Range): boolean {
  return value >= min && value <= max && (value > above || above === -Infinity) && (value < below || below === Infinity)
}

const isInteger = (value: unknown, range: Range): value is number =>
  Number.isSafeInteger(value) && lies(value as number, range)

/** Reads what only a real AbortSignal (or one that behaves like it) has: a foreign one must not fail in the middle of a call. */
function isSignal(value: unknown): value is AbortSignal {
  if (typeof value !== 'object' || value === null) return false
  try {
    const signal = value as AbortSignal
    if (typeof signal.aborted !== 'boolean') return false
    return typeof signal.addEventListener === 'function' && typeof signal.removeEventListener === 'function'
  } catch {
    return false
  }
}

/**
 * The checks of arguments, in one place. Each returns the value, typed, or throws the error of {@link invalid}. What a
 * getter or a Proxy of the caller throws is passed on as it is.
 */
export const expect = {
  /** An object with options. Destructuring null would throw an error of V8. */
  options<Options>(value: Options, name = 'options'): Options & object {
    if (isRecord(value)) return value
    throw invalid(name, 'an object', value)
  },

  oneOf<Choice>(name: string, value: unknown, choices: readonly Choice[]): Choice {
    if (choices.includes(value as Choice)) return value as Choice
    throw invalid(name, either(choices), value)
  },

  integer(name: string, value: unknown, range: Range = {}): number {
    if (isInteger(value, range)) return value
    throw invalid(name, words('an integer', range), value)
  },

  /** How many of something: an integer from 1 on. */
  count: (name: string, value: unknown): number => expect.integer(name, value, { min: 1 }),

  /** What random numbers start from: an integer from 0 on. */
  seed: (name: string, value: unknown): number => expect.integer(name, value, { min: 0 }),

  /** A finite number. */
  number(name: string, value: unknown, range: Range = {}): number {
    if (typeof value === 'number' && Number.isFinite(value) && lies(value, range)) return value
    throw invalid(name, words('a number', range), value)
  },

  boolean(name: string, value: unknown): boolean {
    if (typeof value === 'boolean') return value
    throw invalid(name, 'true or false', value)
  },

  string(name: string, value: unknown, expected = 'a string'): string {
    if (typeof value === 'string') return value
    throw invalid(name, expected, value)
  },

  function<F extends (...args: never) => unknown>(name: string, value: F, expected = 'a function'): F {
    if (isCallable(value)) return value
    throw invalid(name, expected, value)
  },

  /** A list, copied, of anything that fits. */
  list<Item>(name: string, value: unknown, fits: (item: unknown) => item is Item, expected: string): Item[] {
    const list = toList(value)
    if (list?.every(fits)) return list
    throw invalid(name, `an array of ${expected}`, value)
  },

  /** A list of at least one string, copied. */
  strings(name: string, value: unknown, example: string): string[] {
    const list = toList(value)
    if (list?.length && list.every((item) => typeof item === 'string')) return list
    throw invalid(name, `an array of at least one string, e.g. ${example}`, value)
  },

  /** [height, width], copied. */
  size(
    name: string,
    value: unknown,
    { code, max }: { code?: GradCamErrorCode; max?: number } = {},
  ): readonly [number, number] {
    const list = toList(value)
    if (list?.length === 2 && list.every((n) => isInteger(n, { min: 1, ...(max && { max }) })))
      return list as [number, number]
    const range = max === undefined ? 'from 1 on' : `from 1 to ${max}`
    throw invalid(name, `[height, width] in whole pixels, each ${range}`, value, code && { code })
  },

  /** Plain data: a copy of it as JSON holds it. */
  json(name: string, value: unknown): unknown {
    let text: string | undefined
    try {
      text = JSON.stringify(value) as string | undefined
    } catch (error) {
      // JSON has no cycles and no bigints; what else a getter of the caller throws is the caller's own.
      if (!(error instanceof TypeError || error instanceof RangeError)) throw error
    }
    if (text === undefined) throw invalid(name, 'plain data that JSON can hold', value)
    return JSON.parse(text)
  },

  /** An AbortSignal, or nothing. */
  signal(value: unknown, name = 'signal'): AbortSignal | undefined {
    if (value === undefined || isSignal(value)) return value
    throw invalid(name, 'an AbortSignal', value)
  },

  /** The path of a file that is named by a path or a `file:` URL. */
  path(name: string, value: unknown): string {
    try {
      const path = isInstance(value, URL) ? fileURLToPath(value) : value
      if (typeof path === 'string' && !path.includes('\0')) return path
    } catch {
      // Refused below: a URL of another scheme, or of another host.
    }
    throw invalid(name, 'a path or a file: URL', value)
  },
}
