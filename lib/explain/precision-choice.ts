/** A type with fewer bits than float32. */
export type ReducedPrecision = 'bfloat16' | 'float16'

/** A type that `precision: 'auto'` may choose. */
export type PrecisionDType = 'float32' | ReducedPrecision

/** What was measured of one type. */
export interface PrecisionTrial {
  readonly dtype: PrecisionDType
  /** Milliseconds of one explanation, the shortest of several; null where the type was refused before it was timed. */
  readonly milliseconds: number | null
  /**
   * How far the maps are from those of float32: the largest difference of an element, both min-max normalised to [0, 1].
   * 0 for float32 itself; null where there were no maps.
   */
  readonly error: number | null
  /** Why the type cannot be chosen whatever its error; absent where it can. */
  readonly refused?: string
  /** Whether that is since it took too long. Another program may have been the reason, so that it is not remembered. */
  readonly timedOut?: boolean
}

/** What `precision: 'auto'` chose, and why. */
export interface PrecisionChoice {
  /** Null where there was nothing to choose: the model computes in its own type. */
  readonly dtype: PrecisionDType | null
  /** A sentence, e.g. 'The fastest of those whose maps differ from those of float32 by at most 0.05.' */
  readonly why: string
  /** What was measured, float32 first; empty where there was nothing to choose. */
  readonly trials: readonly PrecisionTrial[]
  /** Whether an earlier run measured it, of this process or of another one on this machine. */
  readonly remembered: boolean
}
