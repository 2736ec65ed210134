// Measures a program that makes one map: from its first line, in a new process, to the map of the sample image by the sample
// model. The first process does not count: it fills the system's cache of files.
//
//   npm run build && node scripts/bench/first-map.mjs [--times 15]
import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { formatTable, packageRoot } from '#internal'
import { valueOf } from '../support/access.mjs'
import { percentile } from './statistics.mjs'

const { values } = parseArgs({ options: { times: { type: 'string', default: '15' } } })
const steps = ['import', 'model', 'image', 'map']

const sample = (/** @type {string} */ name) => JSON.stringify(join(packageRoot, 'samples', name))
const program = `
  const begin = performance.now()
  const took = {}
  const done = (step) => (took[step] = performance.now() - begin)
  const { GradCam, ScriptModule, loadImage, imagenet } = await import(${JSON.stringify(pathToFileURL(join(packageRoot, 'dist', 'bundle', 'index.js')))})
  done('import')
  const model = await ScriptModule.load(${sample('animals-densenet.pt')})
  done('model')
  const image = await loadImage(${sample('cat_dog.png')}, { size: [224, 224], normalize: imagenet })
  done('image')
  const gradCam = new GradCam(model, ['features'])
  const found = await gradCam.explain(image)
  if (!found.cam.toTypedArray().some((value) => value > 0)) throw new Error('the map is empty')
  done('map')
  console.log(JSON.stringify(took))
`

/** Milliseconds from the first line to the end of each step. */
function measure() {
  const printed = execFileSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' })
  return /** @type {Record<string, number>} */ (JSON.parse(printed))
}

const times = Number(values.times)
if (!Number.isSafeInteger(times) || times < 1)
  throw new Error(`--times: '${values.times}' is not an integer of at least 1`)
measure()
const runs = Array.from({ length: times }, measure)
const lines = steps.map((step) => {
  const ms = runs.map((run) => valueOf(run, step))
  return [step, ...[0.5, 0.95].map((share) => percentile(ms, share).toFixed(0))]
})
for (const line of formatTable(
  [['ms until', 'p50', 'p95'], ...lines].map((row) => row.map((text, at) => ({ text, alignRight: at > 0 }))),
))
  console.log(line)
console.log(`${times} processes, ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`)
