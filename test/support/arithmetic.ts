/** One channel of an image, row by row. */
export interface Plane {
  readonly height: number
  readonly width: number
  readonly values: ArrayLike<number>
}

/** Bilinear interpolation with align_corners=false, written out: pixel centres lie at half coordinates. */
export function enlarge(plane: Plane, height: number, width: number): number[] {
  const weights = (from: number, to: number) =>
    Array.from({ length: to }, (_, at) => {
      const place = Math.max(0, ((at + 0.5) * from) / to - 0.5)
      const low = Math.min(Math.floor(place), from - 1)
      return { low, high: Math.min(low + 1, from - 1), part: place - low }
    })
  const value = (y: number, x: number) => plane.values[y * plane.width + x] as number
  return weights(plane.height, height).flatMap((row) =>
    weights(plane.width, width).map((column) => {
      const along = (y: number) => value(y, column.low) * (1 - column.part) + value(y, column.high) * column.part
      return along(row.low) * (1 - row.part) + along(row.high) * row.part
    }),
  )
}

/** Min-max scaling to bytes. */
export function toBytes(values: readonly number[]): number[] {
  const low = Math.min(...values)
  const high = Math.max(...values)
  return values.map((value) => ((value - low) / (high - low + 1e-8)) * 255)
}

/** The greatest difference between two lists of one length; infinite for lists of different lengths. */
export function farthest(some: ArrayLike<number | bigint>, others: ArrayLike<number | bigint>): number {
  if (some.length !== others.length) return Infinity
  let distance = 0
  for (let i = 0; i < some.length; i++) distance = Math.max(distance, Math.abs(Number(some[i]) - Number(others[i])))
  return distance
}
