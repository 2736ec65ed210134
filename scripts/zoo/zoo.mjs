// Loads models of torchvision and timm in every form that they can be given in, compares them with eager PyTorch, and writes
// docs/models.md. `npm run zoo` runs all, which takes hours; names after it are models to run, whose rows are replaced.
//
//   --missing      only those without a row yet: continues a run that was stopped
//   --minutes N    begins no other model after N minutes
//
// Some models at a time share a process: one that ends it is noted, and the others go on in another. Python needs torch, torchvision
// and timm.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import * as prettier from 'prettier'
import { packageRoot } from '#internal'
import { timmNames, torchvisionNames } from '../architectures/names.mjs'

const file = join(packageRoot, 'docs', 'models.md')
const all = [...torchvisionNames, ...timmNames]

const intro = `# Models

Written by \`npm run zoo\`. Each model of torchvision and timm, with random weights, in the forms that it can be given in: a scripted and
a traced TorchScript file, an exported program (.pt2, with a dynamic batch), and its weights in an architecture of this package. Each
form has the distance of its outputs from eager PyTorch, relative to their size, and that of its Grad-CAM map at the layer that is
suggested, relative to the map before its ReLU; PyTorch's own convolutions differ by about 1e-6 from run to run of another memory layout. The last column says how the pass
ran. Images have 96 x 96 pixels, or the size that the model requires. Random weights may blow up rounding errors: where a map is more than
1e-3 away, the last column also says how far PyTorch's own map in float32 is from its map in float64.

`
const head =
  '| model | suggested layer | scripted | traced | exported | weights | pass |\n| --- | --- | --- | --- | --- | --- | --- |\n'

/** Models that are not run, and why. */
const leftOut = new Map(
  ['vit_h_14', 'regnet_y_128gf'].map((name) => [name, 'left out: more than 600 million parameters']),
)

/** Longer than any model takes on a busy machine. */
const longest = 20 * 60_000
/** How many models share a process: TorchScript keeps what it compiled until the process ends. */
const together = 12

/**
 * The rows of some models by one process, in order; the row says so where it ends before that of a model. Stops after the first
 * such, and where `isDone` says so.
 *
 * @param {readonly string[]} names
 * @param {() => boolean} isDone
 */
async function* rowsOf(names, isDone) {
  const script = join(import.meta.dirname, 'row.mjs')
  const child = spawn(process.execPath, [script, ...names], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => {
    child.on('close', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  for (const name of names) {
    const timer = setTimeout(() => child.kill('SIGKILL'), longest)
    const row = await nextRow(lines)
    clearTimeout(timer)
    yield /** @type {const} */ ([name, row ?? `| ${name} | | the process ended by ${await ended} | | | | |`])
    if (row === null || isDone()) break
  }
  child.kill()
  await ended
}

async function nextRow(/** @type {AsyncIterator<string>} */ lines) {
  for (;;) {
    const line = await lines.next()
    if (line.done) return null
    if (line.value.startsWith('| ')) return line.value
  }
}

function rowsBefore() {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
  const rows = lines
    .filter((line) => /^\| [a-z]/.test(line))
    .map((line) => /** @type {const} */ ([line.split('|')[1]?.trim() ?? '', `${line}\n`]))
  return new Map(rows.filter(([name]) => name !== 'model'))
}

async function write(/** @type {Map<string, string>} */ rows) {
  const sorted = [...rows].sort(([a], [b]) => all.indexOf(a) - all.indexOf(b)).map(([, row]) => row)
  const options = { ...(await prettier.resolveConfig(file)), parser: 'markdown' }
  writeFileSync(file, await prettier.format(intro + head + sorted.join(''), options))
}

const { values, positionals } = parseArgs({
  options: { missing: { type: 'boolean' }, minutes: { type: 'string' } },
  allowPositionals: true,
})
/** @type {Map<string, string>} */
const rows = rowsBefore()
const end = performance.now() + Number(values.minutes ?? Infinity) * 60_000
const isDone = () => performance.now() > end
const asked = (positionals.length > 0 ? positionals : all).filter((name) => !values.missing || !rows.has(name))
for (const name of asked) {
  const reason = leftOut.get(name)
  if (reason !== undefined) rows.set(name, `| ${name} | | ${reason} | | | | |\n`)
}
let left = asked.filter((name) => !leftOut.has(name))
while (left.length > 0 && !isDone()) {
  for await (const [name, row] of rowsOf(left.slice(0, together), isDone)) {
    rows.set(name, `${row}\n`)
    left = left.filter((each) => each !== name)
    process.stdout.write(`${row}\n`)
    await write(rows)
  }
}
await write(rows)
console.log(`${rows.size} of ${all.length} models have a row.`)
