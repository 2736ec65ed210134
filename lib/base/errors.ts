import type { GradCamErrorCode } from './error-codes.js'

export type { GradCamErrorCode } from './error-codes.js'

/** What an error may carry besides its code and text. */
export interface GradCamErrorOptions extends ErrorOptions {
  /** What to do about it, in whole sentences. It becomes the end of the message. */
  readonly remedy?: string | undefined
  /** The facts in the message, for programs: plain values that JSON can hold. */
  readonly details?: Readonly<Record<string, unknown>> | undefined
}

/** An error as data. */
export interface GradCamErrorData {
  readonly code: GradCamErrorCode
  readonly message: string
  readonly remedy?: string
  readonly details?: Readonly<Record<string, unknown>>
  readonly warnings?: readonly string[]
}

/**
 * Every error of this package. `code` tells programs what is wrong, `message` tells people: what was wrong, what is
 * expected, and what to do. The last part, where there is one, is also in `remedy`, and the facts are in `details`.
 */
export class GradCamError extends Error {
  override readonly name = 'GradCamError'
  readonly code: GradCamErrorCode
  /** What to do about it: the end of `message`. */
  declare readonly remedy?: string
  /** The facts in the message, by name. */
  declare readonly details?: Readonly<Record<string, unknown>>
  /** What LibTorch and the model warned of before a call failed, each text once; absent where they did not. */
  declare readonly warnings?: readonly string[]
  readonly #problem: string

  /** @param problem what was wrong; with the remedy it makes the message */
  constructor(code: GradCamErrorCode, problem: string, options: GradCamErrorOptions = {}) {
    const { remedy, details } = options
    super(remedy === undefined ? problem : `${problem} ${remedy}`, options)
    this.code = code
    this.#problem = problem
    // Only where there is one, so that a printed error does not list what it does not have.
    if (remedy !== undefined) this.remedy = remedy
    if (details !== undefined) this.details = details
  }

  /** What was wrong: `message` without the remedy. */
  get problem(): string {
    return this.#problem
  }

  /** The error as data, which is also what JSON.stringify writes. The stack and the cause are left out. */
  toJSON(): GradCamErrorData {
    const { code, message, remedy, details, warnings } = this
    return {
      code,
      message,
      ...(remedy !== undefined && { remedy }),
      ...(details !== undefined && { details }),
      ...(warnings !== undefined && { warnings }),
    }
  }
}
