import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * How far each contestant's result is from the first one's: the largest difference of a heatmap in [0, 1], or of a gradient
 * over the largest gradient. A speed is worth comparing for equal results only.
 *
 * @param {readonly import('./types.d.mts').Taking[]} taking
 * @param {number} batch
 * @param {string} folder
 * @returns {Promise<import('./types.d.mts').Agreement[]>} for each contestant
 */
export async function compareResults(taking, batch, folder) {
  const results = []
  for (const { contestant, worker } of taking) {
    const file = join(folder, `${contestant.name}.bin`)
    const { shape, scores } = await worker.result(batch, file)
    results.push({ scores, values: shape && floats(file) })
  }
  const [first] = results
  return results.map(({ values, scores }, at) => ({
    difference: at > 0 && values && first?.values ? largestDifference(values, first.values) : null,
    scoreDifference: at > 0 && scores && first?.scores ? largestDifference(scores, first.scores) : null,
    ...(at === 0 && values ? { emptyMaps: emptyImages(values, batch) } : {}),
  }))
}

function floats(/** @type {string} */ file) {
  const bytes = readFileSync(file)
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}

/**
 * Over the largest element of `expected`; a heatmap's is 1. NaN where the lengths differ or something is not finite.
 *
 * @param {ArrayLike<number>} actual
 * @param {ArrayLike<number>} expected
 */
export function largestDifference(actual, expected) {
  if (actual.length !== expected.length) return NaN
  let difference = 0
  let largest = 0
  for (let i = 0; i < expected.length; i++) {
    const [one = NaN, other = NaN] = [actual[i], expected[i]]
    difference = Math.max(difference, Math.abs(one - other))
    largest = Math.max(largest, Math.abs(other))
  }
  return Number.isFinite(difference) && largest > 0 ? difference / largest : NaN
}

function emptyImages(/** @type {Float32Array} */ values, /** @type {number} */ batch) {
  const size = values.length / batch
  let empty = 0
  for (let at = 0; at < batch; at++)
    if (values.subarray(at * size, (at + 1) * size).every((value) => value === 0)) empty++
  return empty
}
