// Which lines of the C++ have run, by the counters that an addon built with --coverage leaves when its process ends.
import { spawnSync } from 'node:child_process'
import { dirname, relative, resolve } from 'node:path'
import { globSync } from 'tinyglobby'
import { formatTable, packageRoot } from '#internal'

/**
 * What `gcov --json-format` says of a source, as far as it is needed.
 *
 * @typedef {{ file: string, lines: readonly { line_number: number, count: number }[] }} Counted
 */

/** @returns {Counted[]} */
function countersOf(/** @type {string} */ file) {
  const args = ['--json-format', '--stdout', file]
  const { status, stdout, stderr, error } = spawnSync('gcov', args, {
    cwd: dirname(file),
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  })
  if (error || status !== 0) throw new Error(`gcov cannot read ${file}: ${error?.message ?? stderr}`)
  return stdout
    .split('\n')
    .filter(Boolean)
    .flatMap((line) => JSON.parse(line).files)
}

/**
 * For each source of native the lines that may run, by how often they did. A line may be in several object files: it has run
 * where it did in one of them.
 *
 * @param {string} folder where the object files and counters are
 */
export function lineCoverage(folder) {
  const files = globSync('**/*.gcda', { cwd: folder, absolute: true })
  if (files.length === 0)
    throw new Error(`${folder} has no counters: was the addon built with --coverage, and has a test run?`)
  const native = resolve(packageRoot, 'native')
  /** @type {Map<string, Map<number, number>>} */
  const sources = new Map()
  for (const { file, lines } of files.flatMap(countersOf)) {
    const path = relative(native, resolve(packageRoot, file.replace(/^.*\/native\//, `${native}/`)))
    if (path.startsWith('..')) continue // LibTorch's and the system's headers
    const counts = sources.get(path) ?? new Map()
    for (const { line_number: line, count } of lines) counts.set(line, Math.max(count, counts.get(line) ?? 0))
    sources.set(path, counts)
  }
  return sources
}

/** @typedef {{ name: string, lines: number, run: number }} Row */

const percent = (/** @type {Row} */ { lines, run }) => (100 * run) / Math.max(1, lines)

/** The coverage by folder, and the files of which the least has run. */
export function coverageReport(/** @type {ReturnType<typeof lineCoverage>} */ sources) {
  /** @type {Row[]} */
  const files = [...sources].map(([name, counts]) => ({
    name,
    lines: counts.size,
    run: [...counts.values()].filter((count) => count > 0).length,
  }))
  /** @type {Map<string, Row>} */
  const folders = new Map()
  for (const { name, lines, run } of files)
    for (const folder of [dirname(name), 'all']) {
      const row = folders.get(folder) ?? { name: folder, lines: 0, run: 0 }
      folders.set(folder, { name: folder, lines: row.lines + lines, run: row.run + run })
    }
  const table = (/** @type {Row[]} */ rows) =>
    formatTable(
      rows.map((row) => [
        { text: row.name },
        { text: `${row.run} of ${row.lines}`, alignRight: true },
        { text: `${percent(row).toFixed(1)} %`, alignRight: true },
      ]),
    )
  const byName = (/** @type {Row} */ a, /** @type {Row} */ b) => a.name.localeCompare(b.name)
  const least = files
    .filter(({ lines }) => lines >= 10)
    .sort((a, b) => percent(a) - percent(b))
    .slice(0, 12)
  return ['Lines that have run:', ...table([...folders.values()].sort(byName)), '', 'The least:', ...table(least)]
}
