/** A length for each dimension: a number is for all of them, and the usual ones are taken where nothing is given. */
export function lengthsOf(given: number | readonly number[] | undefined, usual: readonly number[]): readonly number[] {
  return typeof given === 'number' ? usual.map(() => given) : (given ?? usual)
}

/** The eighth part of each size, rounded up: what is changed at a time by default. */
export const eighths = (sizes: readonly number[]): number[] => sizes.map((size) => Math.ceil(size / 8))

export const isLength = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0
