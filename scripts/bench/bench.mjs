// Measures this package beside what a user would take instead, in one run, as a table and as JSON: npm run bench -- --help
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { formatTable } from '#internal'
import { against } from './against.mjs'
import { machine } from './machine.mjs'
import { measure } from './measure.mjs'
import { readOptions, workloads } from './options.mjs'
import { measureOverhead, overheadLine } from './overhead.mjs'
import { prepare } from './prepare.mjs'
import { cells, doubts, figures } from './report.mjs'
import { itemAt, valueOf } from '../support/access.mjs'
import { median } from './statistics.mjs'
import { writeDocs } from './write-docs.mjs'

const begin = performance.now()
const say = (/** @type {string} */ text) =>
  console.error(`[${((performance.now() - begin) / 1000).toFixed(0)} s] ${text}`)

const refuse = (/** @type {number} */ code) => (/** @type {Error} */ error) => {
  console.error(`bench: ${error.message}`)
  process.exit(code)
}

const options = await (async () => readOptions(process.argv.slice(2)))().catch(refuse(2))
if (options.help !== undefined) {
  console.log(options.help)
  process.exit(0)
}

if (options.against !== undefined) {
  const { against: reference } = options
  const other = await (async () => against(reference, say))().catch(refuse(1))
  options.contestants.splice(1, 0, other)
}
const { contestants, models, batches, size, device, threads } = options
const images = itemAt(batches, -1)
const { libtorch, tools, files, index } = await prepare({ contestants, models, size, images }, say).catch(refuse(1))
const scratch = mkdtempSync(join(tmpdir(), 'gradcam-bench-'))
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }))

// First, for a machine that was under full load for minutes is slower for a while.
const overhead = contestants.some(({ make }) => make)
  ? await measureOverhead(files, say).catch((/** @type {Error} */ error) => {
      say(`the overhead is not measured: ${error.message}`)
      return null
    })
  : null

/** @type {(Omit<import('./types.d.mts').Group, 'table'> & { workload: string, rows: import('./types.d.mts').Figures[] })[]} */
const groups = []
for (const model of models) {
  for (const workload of options.workloads) {
    const { method, title } = workloads[workload]
    const { layers, target } = valueOf(index.models, model)
    const file = join(files, `${model}.pt`)
    const state = join(files, `${model}.state.pt`)
    const common = { size, images, threads, device, target, method, model, layer: layers[workload] ?? null }
    const job = { ...common, file, state, input: join(files, 'input.bin') }
    const name = `${model}, ${title}`
    const { measured, failures } = await measure({
      ...options,
      job,
      tools,
      folder: scratch,
      say: (text) => say(`${name}, ${text}`),
    })
    for (const entry of measured) {
      const warnings = doubts(entry, failures)
      groups.push({ model, workload, title, batch: entry.batch, rows: figures(entry, contestants), warnings })
    }
    if (measured.length === 0) throw new Error(`${name}: ${JSON.stringify(failures)}`)
  }
}

/** By model and contestant: every process started from nothing, so that their median is steadier than each. */
const coldStart = (/** @type {string} */ model) =>
  Object.fromEntries(
    contestants.map(({ name }) => {
      const first = groups.filter((group) => group.model === model && group.batch === batches[0])
      const starts = first.flatMap(({ rows }) => rows.filter((row) => row.name === name).map((row) => row.coldStartMs))
      return [name, starts.length > 0 ? median(starts) : null]
    }),
  )

const report = {
  machine: machine(libtorch, options),
  coldStartMs: Object.fromEntries(models.map((model) => [model, coldStart(model)])),
  overhead,
  seconds: Math.round((performance.now() - begin) / 1000),
  groups: groups.map(({ model, title, ...group }) => ({
    model,
    title,
    ...group,
    table: cells(group.rows, contestants, { cuda: device !== 'cpu', coldStart: coldStart(model) }),
  })),
}

for (const { model, title, batch, table, warnings } of report.groups) {
  console.log(`\n${model}, ${size}x${size}, batch ${batch}: ${title}`)
  const lines = formatTable(table.map((line) => line.map((text, at) => ({ text, alignRight: at > 0 }))))
  for (const line of lines) console.log(line)
  for (const warning of warnings) console.log(`! ${warning}`)
}
if (overhead) console.log(`\n${overheadLine(overhead)}`)
const { loadAtStart } = report.machine
if (loadAtStart > 0.5)
  console.log(`\n! The load was ${loadAtStart.toFixed(1)} at the start: other programs ran, so do not use the figures.`)
mkdirSync(dirname(resolve(options.json)), { recursive: true })
writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)
if (options.writeDocs) await writeDocs(report)
console.log(
  `\n${threads} threads, LibTorch ${libtorch.version}; ${report.seconds} s in all; figures in ${options.json}`,
)
