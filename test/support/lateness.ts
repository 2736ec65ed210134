/** How late a 5 ms timer of this thread came, at worst and at the 99th percentile, in milliseconds, and how often. */
export interface Lateness {
  readonly worst: number
  readonly p99: number
  readonly ticks: number
}

/** Runs `work` while a 5 ms timer runs in the same thread. */
export async function lateness(work: () => Promise<void>): Promise<Lateness> {
  const period = 5
  const late: number[] = []
  let due = performance.now() + period
  let timer = setTimeout(tick, period)
  function tick(): void {
    const now = performance.now()
    late.push(now - due)
    due = now + period
    timer = setTimeout(tick, period)
  }
  await work()
  clearTimeout(timer)
  // A timer that is overdue when the work ends counts, too.
  late.push(performance.now() - due)
  late.sort((a, b) => a - b)
  return { worst: late.at(-1) ?? NaN, p99: late[Math.floor(late.length * 0.99)] ?? NaN, ticks: late.length }
}

/** The most milliseconds that a timer may be late while the package works. */
export const mostLate = 20

export const leastWorst = (measured: readonly Lateness[]): number => Math.min(...measured.map(({ worst }) => worst))

/**
 * Measures until the timer was late by no more than {@link mostLate}, four times at most and with pauses: a machine that does other
 * things as well may be late by itself for a second or two, so that the best of some measurements counts.
 */
export async function latenessAtBest(measure: () => Promise<Lateness>): Promise<readonly Lateness[]> {
  const measured: Lateness[] = []
  for (;;) {
    measured.push(await measure())
    if (leastWorst(measured) <= mostLate || measured.length === 4) return measured
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
}
