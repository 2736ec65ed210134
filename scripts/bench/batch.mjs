// Measures `explainAll`: images in, maps or overlays out, against the model alone on ready tensors, and against an equal job
// in Python where a Python with torch, pytorch-grad-cam, Pillow and matplotlib is named.
//
//   node scripts/bench/batch.mjs --model FILE.pt --layer features [--images 1000] [--batch 8] [--replicas 1] [--python python3]
//
// The images are made for each run: JPEGs of 500 x 375. Prints one JSON object.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { explainAll, GradCam, numThreads, ScriptModule, Tensor } from 'libtorch-gradcam'
import { itemAt } from '../support/access.mjs'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    layer: { type: 'string', default: 'features' },
    images: { type: 'string', default: '1000' },
    batch: { type: 'string', default: '8' },
    replicas: { type: 'string', default: '1' },
    python: { type: 'string' },
  },
})
if (!values.model) throw new Error('name a model: --model FILE.pt')
const images = Number(values.images)
const batchSize = Number(values.batch)
const layer = values.layer
const folder = mkdtempSync(join(tmpdir(), 'gradcam-bench-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

/** Textured, so that decoding costs what it costs for a photograph. */
async function drawJpeg(/** @type {number} */ seed) {
  const [width, height] = [500, 375]
  const data = Buffer.alloc(width * height * 3)
  let noise = seed + 1
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      noise = (noise * 48271) % 2147483647
      const grain = noise % 17
      for (let channel = 0; channel < 3; channel++, i++)
        data[i] =
          120 + 60 * Math.sin(x / (9 + (seed % 23)) + channel) + 50 * Math.cos(y / (7 + (seed % 31)) - channel) + grain
    }
  return sharp(data, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 88 })
    .toBuffer()
}

/** @type {string[]} */
const paths = []
mkdirSync(join(folder, 'in'))
for (let seed = 0; seed < images; seed++) {
  const path = join(folder, 'in', `${seed}.jpg`)
  paths.push(path)
  writeFileSync(path, await drawJpeg(seed))
}
mkdirSync(join(folder, 'out'))

const cpuMilliseconds = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** The model alone: the same batches as tensors that are there already, one after another. */
async function modelAlone(/** @type {ScriptModule} */ model, /** @type {number} */ count) {
  const gradCam = new GradCam(model, [layer])
  const input = Tensor.randn([batchSize, 3, 224, 224])
  const [began, cpu] = [performance.now(), cpuMilliseconds()]
  for (let done = 0; done < count; done += batchSize) {
    const found = await gradCam.explain(input)
    found.dispose()
  }
  return { perSecond: (1000 * count) / (performance.now() - began), cpu: (cpuMilliseconds() - cpu) / count }
}

/** @typedef {{ perSecond: number, cpu: number }} Rate images per second, and processor time in ms for each */

/**
 * From files to maps in memory, or to files.
 *
 * @param {readonly ScriptModule[]} replicas
 * @param {string[]} some
 * @param {{ overlays: boolean, memory?: { images: number, rssMiB: number }[] }} options memory: gets what the process holds after
 *   every 50 images
 */
async function endToEnd(replicas, some, { overlays, memory }) {
  const [began, cpu] = [performance.now(), cpuMilliseconds()]
  let done = 0
  const write = async (/** @type {import('libtorch-gradcam').BatchExplanation<unknown>} */ result) =>
    writeFile(join(folder, 'out', `${result.index}.jpg`), await result.encode('overlay'))
  for await (const result of explainAll(some, {
    model: replicas,
    layer,
    batchSize,
    order: 'ready',
    ...(overlays && { finish: write }),
  })) {
    if (!result.ok) throw result.error
    result.dispose()
    if (++done % 50 === 0) memory?.push({ images: done, rssMiB: Math.round(process.memoryUsage().rss / 2 ** 20) })
  }
  return { perSecond: (1000 * done) / (performance.now() - began), cpu: (cpuMilliseconds() - cpu) / done }
}

const mean = (/** @type {Rate[]} */ rounds, /** @type {keyof Rate} */ key) =>
  rounds.reduce((sum, round) => sum + round[key], 0) / rounds.length
const measured = (/** @type {Rate[]} */ rounds) => ({
  perSecond: mean(rounds, 'perSecond'),
  cpuMillisecondsPerImage: mean(rounds, 'cpu'),
  share: mean(rounds, 'perSecond') / mean(alone, 'perSecond'),
  shareOfEachRound: rounds.map(({ perSecond }, i) => perSecond / itemAt(alone, i).perSecond),
})
const model = await ScriptModule.load(values.model)
// As jobs load them: replicas share the cores.
const count = Number(values.replicas)
/** @type {ScriptModule[]} */
const replicas = []
for (let i = 0; i < count; i++)
  replicas.push(await ScriptModule.load(values.model, { threads: Math.max(1, Math.floor(numThreads() / count)) }))
await modelAlone(model, batchSize * 4)
await endToEnd(replicas, paths.slice(0, batchSize * 4), { overlays: true })

// Turn and turn about, so that what else the machine does falls on both alike.
const rounds = 4
const each = Math.floor(images / rounds / batchSize) * batchSize
/** @type {Rate[]} */
const alone = []
const maps = []
const whole = []
for (let round = 0; round < rounds; round++) {
  const some = paths.slice(round * each, (round + 1) * each)
  alone.push(await modelAlone(model, each))
  maps.push(await endToEnd(replicas, some, { overlays: false }))
  whole.push(await endToEnd(replicas, some, { overlays: true }))
}
/** @type {{ images: number, rssMiB: number }[]} */
const memory = []
const full = await endToEnd(replicas, paths, { overlays: true, memory })
const from200 = memory.filter((one) => one.images >= 200).map((one) => one.rssMiB)

const report = {
  images,
  batchSize,
  cores: availableParallelism(),
  threads: numThreads(),
  replicas: count,
  modelAlone: { perSecond: mean(alone, 'perSecond'), cpuMillisecondsPerImage: mean(alone, 'cpu') },
  toMaps: measured(maps),
  toOverlays: measured(whole),
  fullRun: full,
  rssMiB: memory.map((one) => one.rssMiB),
  rssGrowthFrom200MiB: from200.length > 0 ? Math.max(...from200) - itemAt(from200, 0) : null,
}
if (values.python) {
  const args = [
    join(import.meta.dirname, 'batch.py'),
    values.model,
    layer,
    join(folder, 'in'),
    join(folder, 'out'),
    values.batch,
  ]
  const ended = spawnSync(values.python, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  if (ended.status !== 0) throw new Error(`the Python job ended with ${ended.status}`)
  /** @type {{ perSecond: number }} */
  const python = JSON.parse(ended.stdout)
  Object.assign(report, { python, timesPython: full.perSecond / python.perSecond })
}
console.log(JSON.stringify(report, null, 2))
