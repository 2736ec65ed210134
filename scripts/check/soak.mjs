// Does thousands of explanations, and looks whether anything grows: npm run soak -- [--count 100000]
//
// Every method, with images of several sizes and counts, by explainers that are kept and by new ones; models that are loaded
// and released, randomised copies, calls that are stopped, jobs with images, and workers that come and go. Resident memory,
// tensors, file descriptors and threads are measured at twelve points; in the second half none of them may grow.
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import {
  disposeValue,
  emptyCache,
  explainAll,
  GradCam,
  GradCamError,
  liveTensors,
  makeMapExplainers,
  methods,
  ScriptModule,
  Tensor,
} from 'libtorch-gradcam'
import sharp from 'sharp'
import { settingsOf } from '#internal'
import { itemAt, keysOf } from '../support/access.mjs'

const points = 12
/** What the process may have more in the last third than in the third before, beside a hundredth of it: noise of the heap. */
const slackMB = 8

const samples = new URL('../../samples/', import.meta.url)
const file = fileURLToPath(new URL('animals-densenet.pt', samples))
/** @typedef {import('libtorch-gradcam').MethodName} MethodName */
const names = keysOf(methods)
const hasAttention = (/** @type {MethodName} */ name) => methods[name].by === 'AttentionMap'
/** As few runs as a method can do with: many explanations are what may leave something, not long ones. */
const settings = /** @type {const} */ ({
  seed: 0,
  steps: 3,
  masks: 6,
  samples: 12,
  segments: 6,
  chunkSize: 8,
  window: [16, 16],
  stride: [16, 16],
})
const sizes = [32, 48, 64, 40, 32]
const batches = [1, 1, 2, 1, 3]

function read() {
  if (!globalThis.gc) throw new Error('run it as npm run soak, or node --expose-gc scripts/check/soak.mjs')
  if (process.platform !== 'linux') throw new Error('it reads /proc, which Linux alone has')
  const { values } = parseArgs({ options: { count: { type: 'string', default: '100000' } } })
  const count = Number(values.count)
  if (!Number.isSafeInteger(count) || count < points) throw new Error(`--count requires a number of at least ${points}`)
  return count
}

/** What must not grow, now. */
async function measure(/** @type {ScriptModule | null} */ kept) {
  for (let times = 0; times < 3; times++) {
    globalThis.gc?.()
    await sleep(30)
  }
  emptyCache()
  const status = readFileSync('/proc/self/status', 'utf8')
  const number = (/** @type {string} */ name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1])
  return {
    residentMB: number('VmRSS') / 1024,
    tensors: liveTensors(),
    files: readdirSync('/proc/self/fd').length,
    threads: number('Threads'),
    // Each in a compilation unit of its own.
    splits: kept?.splitMemory().splits ?? 0,
  }
}

/**
 * One explanation by each of the explainers of a method.
 *
 * @param {readonly import('libtorch-gradcam').MapExplainer[]} explainers
 * @param {Tensor} input
 * @param {number} target
 */
async function explainWith(explainers, input, target) {
  for (const explainer of explainers) {
    const { output, maps } = await explainer.explain(input, { target })
    disposeValue(output)
    for (const { map } of maps) map.dispose()
  }
}

/** Each sample of these is a run for each of the 312 channels: with 12 they took three quarters of the time. */
const ofChannels = /** @type {readonly MethodName[]} */ (['sscam', 'iscam'])

const make = (/** @type {ScriptModule} */ model, /** @type {MethodName} */ name) => {
  const own = { ...settingsOf(settings, [name]), ...(ofChannels.includes(name) ? { samples: 1 } : {}) }
  return makeMapExplainers(model, [name], methods[name].layered ? ['features'] : [], own)
}

const workerSource = `
  const { workerData, parentPort } = require('node:worker_threads')
  ;(async () => {
    const { ScriptModule, GradCam, Tensor } = await import('libtorch-gradcam')
    const model = await ScriptModule.load(workerData)
    const cam = new GradCam(model, ['features'])
    const input = Tensor.rand([1, 3, 32, 32])
    const found = await cam.explain(input, { target: 1 })
    parentPort.postMessage(found.cam.shape.length)
  })()`

/** A worker that ends with its model, explainer and tensors still open. */
async function useWorker() {
  const worker = new Worker(workerSource, { eval: true, workerData: file })
  await once(worker, 'message')
  await worker.terminate()
}

async function useModel() {
  const model = await ScriptModule.load(file)
  const copy = await model.randomized({ seed: 1 })
  const input = Tensor.rand([1, 3, 32, 32])
  for (const one of [model, copy]) {
    const cam = new GradCam(one, ['features'])
    const found = await cam.explain(input, { target: 0 })
    found.dispose()
    cam.dispose()
  }
  for (const one of [input, copy, model]) one.dispose()
}

async function useJob(/** @type {ScriptModule} */ model, /** @type {Buffer} */ image) {
  const finish = async (/** @type {import('libtorch-gradcam').BatchExplanation<unknown>} */ result) =>
    void (await result.encode('overlay'))
  for await (const result of explainAll([image, image, Buffer.from('torn')], { model, layer: 'features', finish }))
    result.dispose()
}

/**
 * A call that is stopped before it began, or in its middle.
 *
 * @param {ScriptModule} model
 * @param {Tensor} input
 * @param {boolean} inMiddle
 */
async function useSignal(model, input, inMiddle) {
  const stop = new AbortController()
  const cam = new GradCam(model, ['features'])
  const running = cam.explain(input, { target: 0, signal: stop.signal })
  if (inMiddle) await sleep(1)
  stop.abort()
  await running.then(
    (found) => found.dispose(),
    () => {},
  )
  cam.dispose()
}

const count = read()
const began = performance.now()
const seconds = () => Math.round((performance.now() - began) / 1000)
const model = await ScriptModule.load(file)
const transformer = await ScriptModule.load(fileURLToPath(new URL('animals-vit.pt', samples)))
const modelOf = (/** @type {MethodName} */ name) => (hasAttention(name) ? transformer : model)
const kept = new Map(names.map((name) => [name, make(modelOf(name), name)]))
const jpeg = await sharp({ create: { width: 96, height: 72, channels: 3, background: '#4080c0' } })
  .jpeg()
  .toBuffer()
/** @type {Record<string, number>} */
const errors = {}
/** @type {({ explanations: number, seconds: number } & Awaited<ReturnType<typeof measure>>)[]} */
const rows = []
const width = 13

/** Measures, and prints a row of the table. */
async function note(/** @type {number} */ explanations) {
  const row = { explanations, seconds: seconds(), ...(await measure(model)) }
  if (rows.length === 0)
    console.log(
      Object.keys(row)
        .map((key) => key.padStart(width))
        .join(''),
    )
  console.log(
    Object.values(row)
      .map((value) => String(Math.round(value)).padStart(width))
      .join(''),
  )
  rows.push(row)
}

for (let i = 0; i < count; i++) {
  if (i % Math.ceil(count / points) === 0) await note(i)
  const name = itemAt(names, i % names.length)
  const round = Math.floor(i / names.length)
  const [size, batch] = [itemAt(sizes, round % sizes.length), itemAt(batches, round % batches.length)]
  const input = Tensor.rand([batch, 3, size, size])
  try {
    const isKept = round % 2 === 0
    const explainers = isKept ? (kept.get(name) ?? []) : make(modelOf(name), name)
    try {
      await explainWith(explainers, input, i % 8)
    } finally {
      if (!isKept) for (const explainer of explainers) explainer[Symbol.dispose]()
    }
    if (i % 50 === 7) await useSignal(model, input, i % 100 === 7)
    if (i % 50 === 17) await useJob(model, jpeg)
    if (i % 100 === 27) await useModel()
    if (i % 500 === 37) await useWorker()
  } catch (error) {
    if (!(error instanceof GradCamError)) throw error
    errors[`${name}: ${error.message}`] = (errors[`${name}: ${error.message}`] ?? 0) + 1
  } finally {
    input.dispose()
  }
}
await note(count)

for (const explainers of kept.values()) for (const explainer of explainers) explainer[Symbol.dispose]()
for (const one of [model, transformer]) one.dispose()
const left = await measure(null)
console.log(`released: ${Math.round(left.residentMB)} MB, ${left.tensors} tensors, ${left.files} files`)

const middle = (/** @type {number[]} */ list) =>
  itemAt(
    [...list].sort((a, b) => a - b),
    Math.floor(list.length / 2),
  )
const third = Math.floor(rows.length / 3)
const problems = Object.entries(errors).map(([error, times]) => `${times} times ${error}`)
for (const key of /** @type {const} */ (['residentMB', 'tensors', 'files', 'threads', 'splits'])) {
  const values = rows.map((row) => row[key])
  const [before, after] = [middle(values.slice(-2 * third, -third)), middle(values.slice(-third))]
  const allowed = key === 'residentMB' ? slackMB + before / 100 : 0
  if (after > before + allowed) problems.push(`${key} grows: ${before.toFixed(0)}, then ${after.toFixed(0)}`)
}
if (left.tensors > 0) problems.push(`${left.tensors} tensors are left`)
for (const problem of problems) console.log(problem)
console.log(problems.length === 0 ? 'flat' : 'not flat')
process.exitCode = problems.length === 0 ? 0 : 1
