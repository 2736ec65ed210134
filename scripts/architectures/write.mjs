// Writes assets/architectures: architectures of torchvision and timm as plans without weights, for
// ScriptModule.load(name, { weights }).
//
//   node scripts/architectures/write.mjs [--missing] [NAME ...]      all by default, or those that have no plan yet
//
// Python needs torch, torchvision and timm.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { brotliCompressSync, constants } from 'node:zlib'
import { architectureFile, architecturesFolder, readPlan } from '#internal'
import { timmNames, torchvisionNames } from './names.mjs'

const names = [...torchvisionNames, ...timmNames]

/** @typedef {{ byClass: string[], state: string[], shared: string[][], unused: string[], name: string }} ExportedPlan of export.py */

/** The text of a plan without the values of its weights. */
function skeleton(/** @type {string} */ file, /** @type {ExportedPlan} */ facts) {
  const plan = readPlan(file, 'cpu')
  if (!plan) throw new Error(`${file} is not an exported program`)
  const { modules, tensors, ...rest } = plan
  const bytes = readFileSync(file)
  const weights = tensors.map(({ module, name, isParameter, tensor }) => {
    const { path } = modules[module] ?? { path: '' }
    const full = path === '' ? name : `${path}.${name}`
    const { dtype, sizes, storage, offset } = tensor
    const also = facts.shared.find((group) => group.includes(full))?.filter((other) => other !== full)
    const entry = { module, name, isParameter, dtype, sizes, ...(also && { also }) }
    if (facts.byClass.includes(full)) return { ...entry, byClass: true }
    if (facts.state.includes(full)) return entry
    if (offset !== 0) throw new Error(`${facts.name}: the constant ${full} is a view`)
    return { ...entry, data: bytes.subarray(storage.position, storage.position + storage.length).toString('base64') }
  })
  return JSON.stringify({ modules, tensors: weights, ...rest, unused: facts.unused })
}

const index = join(architecturesFolder, 'index.json')

/** @returns {{ name: string }[]} */
const listed = () => (existsSync(index) ? JSON.parse(readFileSync(index, 'utf8')) : [])

/** Puts an entry into the index, which stays in the order of the lists of names. */
function writeIndex(/** @type {{ name: string }} */ entry) {
  const entries = [...listed().filter(({ name }) => name !== entry.name), entry]
  entries.sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name))
  writeFileSync(index, `[\n${entries.map((each) => JSON.stringify(each)).join(',\n')}\n]\n`)
}

function pack(/** @type {string} */ folder, /** @type {string} */ name) {
  const stem = join(folder, name.replace(':', '.'))
  const facts = JSON.parse(readFileSync(`${stem}.json`, 'utf8'))
  const text = skeleton(`${stem}.pt2`, facts)
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 }
  writeFileSync(architectureFile(name), brotliCompressSync(text, { params }))
  const { byClass: _, state, shared, unused: _unused, ...entry } = facts
  const others = new Set(shared.flatMap((/** @type {string[]} */ group) => group.slice(1)))
  const counts = (/** @type {string} */ key) => !key.endsWith('num_batches_tracked') && !others.has(key)
  const tensors = state.filter(counts).length
  writeIndex({ ...entry, tensors, ...(others.size > 0 && { otherNames: others.size }) })
  rmSync(`${stem}.pt2`)
}

const args = process.argv.slice(2)
const given = args.filter((arg) => arg !== '--missing')
const known = new Set(listed().map(({ name }) => name))
const requested = (given.length > 0 ? given : names).filter((name) => !args.includes('--missing') || !known.has(name))
mkdirSync(architecturesFolder, { recursive: true })
const folder = mkdtempSync(join(tmpdir(), 'architectures-'))
try {
  const script = join(import.meta.dirname, 'export.py')
  const python = spawn('python3', [script, folder, ...requested], { stdio: ['pipe', 'pipe', 'inherit'] })
  const failed = []
  let done = 0
  for await (const line of createInterface(python.stdout)) {
    const [, state, name = '', why = ''] = /^(done|failed) ([^ ]+?)(?:: (.*))?$/.exec(line) ?? []
    if (state === 'done') {
      try {
        pack(folder, name)
      } catch (error) {
        failed.push(`${name}: ${String(error)}`)
      }
    } else if (state === 'failed') failed.push(`${name}: ${why}`)
    else continue
    done++
    python.stdin.write('\n')
  }
  if (done < requested.length) throw new Error(`Python ended after ${done} of ${requested.length}.`)
  writeFileSync(join(architecturesFolder, 'imagenet-labels.json'), readFileSync(join(folder, 'imagenet-labels.json')))
  for (const line of failed) console.error(`not written: ${line}`)
  process.exitCode = failed.length > 0 ? 1 : 0
} finally {
  rmSync(folder, { recursive: true })
}
const all = listed()
const bytes = all.reduce((sum, { name }) => sum + statSync(architectureFile(name)).size, 0)
console.log(`${all.length} architectures, ${Math.round(bytes / 1024)} KiB packed, in ${architecturesFolder}`)
