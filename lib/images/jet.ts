type Point = readonly [position: number, value: number]

/**
 * The colour map jet as matplotlib publishes it: each channel is linear between these points. From the segment data of
 * "jet" in matplotlib's `_cm.py`.
 */
const segments: readonly (readonly Point[])[] = [
  [
    [0, 0],
    [0.35, 0],
    [0.66, 1],
    [0.89, 1],
    [1, 0.5],
  ],
  [
    [0, 0],
    [0.125, 0],
    [0.375, 1],
    [0.64, 1],
    [0.91, 0],
    [1, 0],
  ],
  [
    [0, 0.5],
    [0.11, 1],
    [0.34, 1],
    [0.65, 0],
    [1, 0],
  ],
]

let made: Float32Array | undefined

/** The 256 colours, from the lowest value to the highest, as red, green and blue in [0, 1]: row-major [256, 3]. */
export function jetTable(): Float32Array {
  return (made ??= makeTable())
}

function makeTable(): Float32Array {
  const last = 255
  const table = new Float32Array((last + 1) * 3)
  for (let color = 0; color <= last; color++)
    segments.forEach((points, channel) => (table[color * 3 + channel] = valueAt(points, color, last)))
  return table
}

/** The value at `at` on the line through the points, whose positions are scaled from [0, 1] to [0, scale]. */
function valueAt(points: readonly Point[], at: number, scale: number): number {
  let [from, before] = points[0] as Point
  for (const [position, value] of points) {
    const to = position * scale
    // Scaling the points, rather than dividing `at`, rounds as matplotlib does.
    if (at <= to) return to === from ? value : ((at - from) / (to - from)) * (value - before) + before
    from = to
    before = value
  }
  return before
}
