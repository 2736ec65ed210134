import { percentile, median, ratio } from './statistics.mjs'

const head = ['', '× ours', '× floor', 'p50 ms', 'p95 ms', 'images/s', 'peak RSS MB', 'cold start s', 'difference']

/**
 * @typedef {import('./types.d.mts').Contestant} Contestant
 * @typedef {import('./types.d.mts').Measurement} Measurement
 */

/**
 * The figures of one entry of `measure`, ready to be shown: one object for each contestant.
 *
 * @param {Measurement} entry
 * @param {readonly Contestant[]} contestants
 * @returns {import('./types.d.mts').Figures[]}
 */
export function figures({ batch, rows }, contestants) {
  const find = (/** @type {(contestant: Contestant) => unknown} */ requested) =>
    rows.find(({ name }) => contestants.some((one) => one.name === name && requested(one)))
  const ours = find(({ make }) => make)
  const floor = find(({ isFloor }) => isFloor)
  return rows.map(({ name, times, ...rest }) => ({
    name,
    toOurs: ours ? ratio(times, ours.times) : null,
    toFloor: floor ? ratio(times, floor.times) : null,
    p50: median(times),
    p95: percentile(times, 0.95),
    imagesPerSecond: (batch * 1000) / median(times),
    times,
    ...rest,
  }))
}

const fixed = (/** @type {number | null} */ value, /** @type {number} */ digits) =>
  value === null || Number.isNaN(value) ? '–' : value.toFixed(digits)

/**
 * How far a contestant's result is from ours.
 *
 * @param {import('./types.d.mts').Figures} row
 * @param {Contestant | undefined} contestant
 */
export function differenceText(row, contestant) {
  const difference = contestant?.scoresAlone ? row.scoreDifference : row.difference
  return difference === null ? '–' : difference.toExponential(0)
}

/**
 * Cells of text, the titles first. `coldStart`: the cold start by contestant, over all that were measured.
 *
 * @param {readonly import('./types.d.mts').Figures[]} rows
 * @param {readonly Contestant[]} contestants
 * @param {{ cuda: boolean, coldStart: Record<string, number | null> }} options
 */
export function cells(rows, contestants, { cuda, coldStart }) {
  const titles = cuda ? [...head, 'device MB'] : head
  const lines = rows.map((row) => {
    const contestant = contestants.find(({ name }) => name === row.name)
    const line = [
      contestant?.label ?? row.name,
      fixed(row.toOurs, 2),
      fixed(row.toFloor, 2),
      fixed(row.p50, 1),
      fixed(row.p95, 1),
      fixed(row.imagesPerSecond, 1),
      fixed(row.peakRss / 1e6, 0),
      fixed((coldStart[row.name] ?? NaN) / 1000, 2),
      differenceText(row, contestant),
    ]
    return cuda ? [...line, row.peakDevice === null ? '–' : fixed(row.peakDevice / 1e6, 0)] : line
  })
  return [titles, ...lines]
}

/** What makes a figure doubtful, as sentences. */
export function doubts(
  /** @type {Measurement} */ { batch, rows, idleShare },
  /** @type {import('./types.d.mts').Failures} */ failures,
) {
  const said = Object.entries(failures).map(([name, reason]) => `${name} did not take part: ${reason}`)
  if (idleShare !== null && idleShare > 0.02)
    said.push(`contestants that waited used ${(idleShare * 100).toFixed(1)} % of a processor meanwhile`)
  const empty = rows[0]?.emptyMaps
  if (empty) said.push(`${empty} of ${batch} results are all zero: their agreement says nothing`)
  return said
}
