/** The value below which a share of the values lies: the nearest rank, so that it is one that was measured. */
export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

/** The median over rounds of one's time over the other's in the same round: what slows a whole round cancels out. */
export const ratio = (times, others) => median(times.map((time, round) => time / others[round]))
