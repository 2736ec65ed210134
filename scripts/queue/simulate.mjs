// Simulates jobs of a queue with 1 to 1,000 workers, and draws docs/scaling.md's curve. It is a simulation of discrete events:
// things happen one after another in simulated time, and whoever needs a thing that another has waits for it.
//
//   node scripts/queue/simulate.mjs [--measured scripts/queue/measured.json] [--svg docs/images/scaling.svg] [--images 1000000]
//
// What it assumes:
// - a worker explains one image after another, which always takes the same time, and reads the next chunk meanwhile;
// - the server of the queue serves one request at a time, in the order in which they come;
// - one worker coordinates: it lists inputs page by page, writes the listing of a chunk and adds the chunk, one after another, while
//   fewer chunks wait than may; beside that it reads the parts of chunks that are done, several at a time;
// - a storage serves any number of requests at a time, each after the same delay, but no more writes in a second than its limit;
// - each worker dies once in so many hours; its chunk goes to another after one and a half locks, and what was recorded stays;
// - when the last chunk is done, the coordinator reads all parts again and writes the manifest.
// Times that were measured come from measured.json, which scripts/bench/queue.mjs writes; those of a storage in another place are
// assumed, in scripts/queue/assumed.json.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { drawScaling } from './draw-scaling.mjs'
import { EventQueue } from './event-queue.mjs'

/**
 * @typedef {object} Times
 * @property {number} image seconds that a worker takes for an image
 * @property {number} chunk seconds that a worker takes for a chunk besides its images
 * @property {number} queueTake seconds that the server of the queue takes for a chunk: adding, taking, renewing, ending it
 * @property {number} listPage seconds for a page of the listing
 * @property {number} pageSize inputs of a page
 * @property {number} addChunk seconds for the listing of a chunk and its task
 * @property {number} readPart seconds for reading the part of a chunk
 * @property {number} readAtOnce parts that are read at a time
 * @property {number} mergeLine seconds for a line of the manifest
 * @property {number} writesPerImage files, and lines of the journal
 * @property {number} writesPerSecond that the storage takes
 */

/**
 * @typedef {object} Setting
 * @property {number} workers
 * @property {number} images
 * @property {number} chunk images of a chunk
 * @property {number} maxWaiting chunks that may wait in the queue
 * @property {number} lock seconds
 * @property {number} hoursToDeath of a worker; Infinity where none dies
 * @property {Times} times
 */

/** One server for which all wait, in the order in which they come. */
class Server {
  #free = 0
  busy = 0

  /** @returns {number} when it is done */
  use(/** @type {number} */ now, /** @type {number} */ seconds) {
    this.#free = Math.max(this.#free, now) + seconds
    this.busy += seconds
    return this.#free
  }
}

/**
 * Runs a job.
 *
 * @param {Setting} setting
 */
export function simulate({ workers, images, chunk, maxWaiting, lock, hoursToDeath, times }) {
  const events = new EventQueue()
  const queue = new Server()
  const storage = new Server()
  const coordinator = new Server()
  const reader = new Server()
  const chunks = Math.ceil(images / chunk)
  let [added, waiting, done, deaths, ended] = [0, 0, 0, 0, 0]
  /** @type {number[]} workers that wait for a chunk */
  const idle = []
  let listing = false

  const list = (/** @type {number} */ now) => {
    if (listing || added === chunks || waiting >= maxWaiting) return
    listing = true
    const own = coordinator.use(now, (chunk / times.pageSize) * times.listPage + times.addChunk)
    events.add(queue.use(own, times.queueTake / 3), (then) => {
      listing = false
      added++
      waiting++
      give(then)
      list(then)
    })
  }
  const give = (/** @type {number} */ now) => {
    while (waiting > 0 && idle.length > 0) {
      waiting--
      take(idle.shift() ?? 0, now)
    }
    list(now)
  }
  const take = (/** @type {number} */ worker, /** @type {number} */ now) => {
    const size = chunk
    // Of the requests for a chunk; the others come while it is explained.
    const taken = queue.use(now, times.queueTake / 3)
    const work = size * times.image + times.chunk
    const writes = (size * times.writesPerImage) / times.writesPerSecond
    // Dying is spread over all workers by what they have worked, so that each run of the simulation gives the same.
    ended += work
    const dies = ended > (deaths + 1) * hoursToDeath * 3600
    if (dies) deaths++
    // Half of the chunk was recorded; another does the rest when the lock has run out.
    const late = dies ? 1.5 * lock + work / 2 : 0
    const written = storage.use(taken, writes)
    events.add(Math.max(taken + work + late, written), (then) => {
      const published = queue.use(then, times.queueTake / 3)
      reader.use(published, times.readPart / times.readAtOnce)
      done++
      events.add(published, (free) => {
        idle.push(worker)
        give(free)
      })
    })
  }
  for (let worker = 0; worker < workers; worker++) idle.push(worker)
  give(0)
  const explained = events.run()
  if (done !== chunks) throw new Error(`${done} of ${chunks} chunks were done`)
  const counted = Math.max(explained, reader.use(explained, 0))
  const merge = images * times.mergeLine + (chunks * times.readPart) / times.readAtOnce
  const seconds = counted + merge
  const busy = {
    workers: (images * times.image) / (workers * explained),
    coordinator: coordinator.busy / explained,
    queue: queue.busy / explained,
    storage: storage.busy / explained,
    parts: reader.busy / explained,
  }
  return { seconds, merge, deaths, perSecond: images / seconds, busy, bottleneck: bottleneckOf(busy, merge / seconds) }
}

/** @param {Record<string, number>} busy how much of the time each was busy */
function bottleneckOf(busy, /** @type {number} */ merging) {
  if (merging > 0.25) return 'merge'
  const [first = ['workers', 0]] = Object.entries(busy).sort(([, a], [, b]) => b - a)
  return first[0]
}

/**
 * Dollars for a million images.
 *
 * @param {ReturnType<typeof simulate>} run
 * @param {Setting} setting
 * @param {{ workerHour: number, serverHour: number, million: { writes: number, reads: number } }} prices
 */
export function costOf(run, { workers, images, chunk, times }, { workerHour, serverHour, million }) {
  const hours = run.seconds / 3600
  const machines = hours * (workers * workerHour + serverHour)
  const chunks = images / chunk
  const writes = images * times.writesPerImage + 3 * chunks + images / times.pageSize
  const reads = images + 4 * chunks
  return ((machines + (writes * million.writes + reads * million.reads) / 1e6) * 1e6) / images
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      measured: { type: 'string', default: join(import.meta.dirname, 'measured.json') },
      svg: { type: 'string' },
      images: { type: 'string', default: '1000000' },
    },
  })
  const measured = JSON.parse(readFileSync(values.measured, 'utf8'))
  const assumed = JSON.parse(readFileSync(join(import.meta.dirname, 'assumed.json'), 'utf8'))
  const images = Number(values.images)
  const counts = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
  const series = assumed.series.map((/** @type {any} */ one) => {
    const times = { ...measured.times, ...assumed[one.storage].times, ...one.times }
    const prices = { ...assumed.prices, million: assumed[one.storage].million, ...one.prices }
    const points = counts.map((workers) => {
      const setting = { ...assumed.setting, ...one.setting, workers, images, times }
      const run = simulate(setting)
      return { workers, ...run, cost: costOf(run, setting, prices) }
    })
    return { name: one.name, ideal: 1 / times.image, points }
  })
  for (const { name, points } of series) {
    console.log(`\n${name}\n\n| workers | images/s | of the ideal | $ per million | bottleneck | merge | deaths |`)
    console.log('| ------: | -------: | -----------: | ------------: | ---------- | ----: | -----: |')
    const [{ perSecond: one } = { perSecond: 1 }] = points
    for (const { workers, perSecond, cost, bottleneck, merge, deaths } of points)
      console.log(
        `| ${workers} | ${perSecond.toPrecision(3)} | ${((100 * perSecond) / (one * workers)).toFixed(0)} % | ${cost.toFixed(2)} | ${bottleneck} | ${merge.toFixed(0)} s | ${deaths} |`,
      )
  }
  if (values.svg !== undefined) writeFileSync(values.svg, drawScaling(series))
}
