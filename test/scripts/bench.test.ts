import test from 'ava'
import { copyFileSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { packageRoot } from '../../lib/base/paths.js'
import { benchModule, type BenchReport } from '../support/bench.js'
import { builtWith } from '../support/compile-native.js'
import { runNode, temporaryFolder } from '../support/package-copy.js'
import { pythonWithPeers } from '../support/peers.js'
import { needing, orMissing } from '../support/needs.js'

const bench = join(packageRoot, 'scripts', 'bench', 'bench.mjs')
const everyone = ['ours', 'document', 'pytorch-grad-cam', 'captum', 'floor']

// As the benchmark does: the Python that it looks for is the one with the addon's libraries.
const { root } = builtWith()
process.env['LIBTORCH'] = root
const withPeers = await orMissing('peers', pythonWithPeers)
const torch = withPeers && dirname((JSON.parse(withPeers.identity) as [string, string])[1])
const isShared = torch === null || realpathSync(torch) === realpathSync(root)

if (!isShared)
  test('another PyTorch in Python than the addon has is refused: their kernels may differ', (t) => {
    const { code, stderr } = runNode([bench, '--models', 'animals', '--contestants', 'ours,captum'])
    t.is(code, 1)
    t.true(stderr.includes(`The addon was built with the LibTorch in ${root}, but Python imports ${torch}`), stderr)
  })

const title = 'npm run bench: every contestant gives the same result, and table and JSON say how fast'
const compare = isShared ? needing('peers', withPeers, test.serial) : needing('sharedTorch', null)
compare(title, async (t) => {
  t.timeout(280_000)
  const folder = temporaryFolder(t)
  const json = join(folder, 'bench.json')
  const contestants = [everyone[0], 'ours-bf16', ...everyone.slice(1)].join(',')
  const what = [
    '--contestants',
    contestants,
    '--models',
    'animals',
    '--size',
    '96',
    '--batches',
    '2,1',
    '--workloads',
    'gradcam-last,guided',
  ]
  const { code, stdout, stderr } = runNode([bench, ...what, '--rounds', '3', '--threads', '1', '--json', json])
  t.is(code, 0, stderr)
  const report = JSON.parse(readFileSync(json, 'utf8')) as BenchReport
  t.is(report.machine.threads, 1)
  const cells = report.groups.map(({ model, workload, batch }) => `${model} ${workload} ${batch}`)
  t.deepEqual(
    cells,
    ['gradcam-last', 'guided'].flatMap((workload) => [1, 2].map((batch) => `animals ${workload} ${batch}`)),
  )
  for (const { workload, batch, rows, table } of report.groups) {
    // A contestant with a precision has no guided backprop to take part in.
    const expected = workload === 'guided' ? everyone : contestants.split(',')
    t.deepEqual(
      rows.map(({ name }) => name),
      expected,
    )
    t.is(rows[0]?.emptyMaps, 0, 'maps that are all zero would agree with anything')
    for (const row of rows) {
      t.is(row.times.length, 3)
      const [least, middle, most] = [...row.times].sort((a, b) => a - b) as [number, number, number]
      t.deepEqual([row.p50, row.p95], [middle, most])
      t.true(least > 0)
      t.is(row.imagesPerSecond, (batch * 1000) / middle)
      t.true(row.peakRss > 50e6 && row.peakRss < 20e9, `${row.name}: ${row.peakRss} bytes`)
      const coldStart = report.coldStartMs['animals']?.[row.name]
      t.true(coldStart !== undefined && coldStart > least, `${row.name}: cold start ${coldStart} ms`)
      if (row.name === 'ours') continue
      const difference = row.name === 'floor' ? row.scoreDifference : row.difference
      const allowed = row.name === 'ours-bf16' ? 0.2 : 1e-5
      t.true(difference !== null && difference < allowed, `${row.name}: ${difference}`)
    }
    t.is(rows[0]?.toOurs, 1)
    t.is(rows.at(-1)?.toFloor, 1)
    // The terminal shows the same cells.
    for (const line of table) t.true(stdout.split('\n').some((shown) => line.every((cell) => shown.includes(cell))))
  }
  const { typescriptUs, nativeUs, crossingUs } = report.overhead
  // The crossing is a median of pairs; the two medians come from different rounds, and a busy machine can swap them.
  t.true(nativeUs > 1 && crossingUs > 0 && typescriptUs > 1, JSON.stringify(report.overhead))

  const { writeDocs } = await benchModule<{ writeDocs: (from: BenchReport, file: string) => Promise<void> }>(
    'write-docs.mjs',
  )
  const docs = join(folder, 'performance.md')
  copyFileSync(join(packageRoot, 'docs', 'performance.md'), docs)
  await writeDocs(report, docs)
  const written = readFileSync(docs, 'utf8')
  const section = /<!-- bench:begin[^]*<!-- bench:end -->/.exec(written)?.[0] ?? ''
  // Of each workload a table of times and one of memory, with a line for each batch; each contestant's cold start.
  t.is(section.match(/^### (Grad-CAM|Guided backprop)/gm)?.length, 2)
  t.is(section.match(/^\| animals, [12] /gm)?.length, 8)
  t.is(section.match(/^\| pytorch-grad-cam +\| +\d+\.\d\d \|/gm)?.length, 1)
  for (const { batch, rows } of report.groups) {
    const peer = rows.find(({ name }) => name === 'pytorch-grad-cam')
    const ours = rows.find(({ name }) => name === 'ours')
    const lines = section.split('\n').filter((one) => one.startsWith(`| animals, ${batch} `))
    const shown = [` ${ours?.p50.toFixed(1)} |`, ` ${peer?.toOurs.toFixed(2)} (`]
    t.true(
      lines.some((line) => shown.every((cell) => line.includes(cell))),
      shown.join(),
    )
  }
  await writeDocs(report, docs)
  t.is(readFileSync(docs, 'utf8'), written, 'written again, nothing is left of the first time')
})

test('what is asked for wrongly is named', (t) => {
  for (const [args, said] of [
    [['--batches', '0'], /--batches: '0' is not an integer of at least 1/],
    [['--workloads', 'gradcam'], /--workloads: 'gradcam' is not one of gradcam-last, /],
    [['--contestants', ''], /--contestants is empty/],
    [['--speed'], /--speed/],
  ] as const) {
    const { code, stdout, stderr } = runNode([bench, ...args])
    t.is(code, 2)
    t.is(stdout, '')
    t.regex(stderr, said)
  }
})

test('--against: another commit or checkout takes part, and gives the same result', (t) => {
  const refused = runNode([bench, '--against', 'no-such-commit'])
  t.is(refused.code, 1)
  t.regex(refused.stderr, /^bench: --against: 'git rev-parse .*no-such-commit/)

  const json = join(temporaryFolder(t), 'bench.json')
  const what = ['--models', 'animals', '--size', '96', '--batches', '1', '--workloads', 'gradcam-last']
  const run = ['--contestants', 'ours', '--rounds', '1', '--threads', '1', '--json', json]
  const { code, stdout, stderr } = runNode([bench, ...what, ...run, '--against', packageRoot])
  t.is(code, 0, stderr)
  t.true(stdout.includes(`libtorch-gradcam of ${packageRoot}`))
  const report = JSON.parse(readFileSync(json, 'utf8')) as BenchReport
  const rows = report.groups[0]?.rows ?? []
  t.deepEqual(
    rows.map(({ name, difference }) => [name, difference]),
    [
      ['ours', null],
      ['against', 0],
    ],
  )
  t.true(rows[1]?.times[0] !== rows[0]?.times[0], 'each was measured by itself')
})

test('percentiles are values that were measured, ratios those of one round', async (t) => {
  type Of<Result> = (...values: never[]) => Result
  const { percentile, median, ratio } =
    await benchModule<Record<'percentile' | 'median' | 'ratio', Of<number>>>('statistics.mjs')
  const of = (measure: Of<number>, ...values: unknown[]): number => measure(...(values as never[]))
  t.is(of(percentile, [5, 1, 4, 2, 3], 0.95), 5)
  t.is(
    of(
      percentile,
      Array.from({ length: 20 }, (_, at) => at + 1),
      0.95,
    ),
    19,
  )
  t.is(of(median, [4, 1, 3, 2]), 2.5)
  // A round that was ten times slower for both changes nothing.
  t.is(of(ratio, [2, 20, 2], [1, 10, 1]), 2)
})

test('results that are not equal are seen to be', async (t) => {
  const { largestDifference } = await benchModule<{
    largestDifference: (actual: readonly number[], expected: readonly number[]) => number
  }>('agreement.mjs')
  t.is(largestDifference([0, 4], [0, 4]), 0)
  t.is(largestDifference([1, 4], [0, 4]), 0.25)
  t.is(largestDifference([0, NaN], [0, 4]), NaN)
  t.is(largestDifference([NaN, 4], [0, 4]), NaN)
  t.is(largestDifference([0, 0], [0, 0]), NaN)
  t.is(largestDifference([0], [0, 0]), NaN)
})
