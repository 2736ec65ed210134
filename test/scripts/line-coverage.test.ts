import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import { packageRoot } from '../../lib/base/paths.js'
import { needing } from '../support/needs.js'
import { temporaryFolder } from '../support/package-copy.js'

interface LineCoverage {
  readonly lineCoverage: (folder: string) => Map<string, Map<number, number>>
  readonly coverageReport: (sources: Map<string, Map<number, number>>) => string[]
}

const script = join(packageRoot, 'scripts', 'check', 'line-coverage.mjs')
const { lineCoverage, coverageReport } = (await import(pathToFileURL(script).href)) as LineCoverage
const has = (command: string) =>
  spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout?.includes('Free Software') ?? false

// Draws a map in grey, and none over an image.
const program = `
#include "core/images/render_map.h"
int main() {
  const float map[] = {0, 1, 2, 3};
  uint8_t grey[16];
  gradcam::draw_grey({map, 2, 2}, 4, 4, {{4, 4, 0, 0, 4, 4}, {0, 0, 4, 4}}, grey);
  return grey[15] == 255 ? 0 : 1;
}
`

needing('gcov', has('g++') && has('gcov'))('the lines of a source that have run, and those that have not', (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'main.cc'), program)
  const source = join(packageRoot, 'native', 'core', 'images', 'render_map.cc')
  const include = `-I${join(packageRoot, 'native')}`
  const made = spawnSync('g++', ['-std=c++20', '--coverage', include, 'main.cc', source, '-o', 'main'], { cwd: folder })
  t.is(made.status, 0, made.stderr?.toString())
  t.throws(() => lineCoverage(folder), { message: /has no counters/ })
  t.is(spawnSync(join(folder, 'main'), { cwd: folder }).status, 0)
  const sources = lineCoverage(folder)
  const files = ['render_map.cc', 'render_map.h'].map((name) => join('core', 'images', name))
  t.deepEqual([...sources.keys()].sort(), files)
  const counts = [...sources.values()].flatMap((lines) => [...lines.values()])
  const run = counts.filter((count) => count > 0).length
  t.true(run > 20 && run < counts.length - 10, `${run} of ${counts.length}`)
  const percent = ((100 * run) / counts.length).toFixed(1)
  t.true(coverageReport(sources).some((line) => line.startsWith('core/images ') && line.endsWith(` ${percent} %`)))
})

test('a folder without counters is refused', (t) => {
  t.throws(() => lineCoverage(temporaryFolder(t)), { message: /has no counters/ })
})
