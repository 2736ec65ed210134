/** The value below which a share of the values lies: the nearest rank, so that it is one that was measured. */
export function percentile(/** @type {readonly number[]} */ values, /** @type {number} */ share) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN
}

export function median(/** @type {readonly number[]} */ values) {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  const [below = NaN, above = NaN] = [sorted[half - 1], sorted[half]]
  return sorted.length % 2 ? above : (below + above) / 2
}

/** The median over rounds of one's time over the other's in the same round: what slows a whole round cancels out. */
export const ratio = (/** @type {readonly number[]} */ times, /** @type {readonly number[]} */ others) =>
  median(times.map((time, round) => time / (others[round] ?? NaN)))
