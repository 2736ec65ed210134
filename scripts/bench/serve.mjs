// Measures `gradcam serve`, with batching and without, beside a service of FastAPI and Captum, with the sample model:
//
//   node scripts/bench/serve.mjs [--seconds 5] [--clients 1,8,32,64] [--threads N] [--without-python] [--json FILE]
//
// Each client sends an image, waits for the answer, and sends the next. The services are measured in turns, with the same images,
// each alone: the others wait without load. Before that all must give the same maps. The clients run on this machine, too, and
// take their part of it, the same for each service.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { createServer as createNetServer } from 'node:net'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import sharp from 'sharp'
import { formatTable, packageRoot } from '#internal'
import { cachedFolder } from '#test-support/cached-folder.js'
import { pythonWithPeers } from '#test-support/peers.js'
import { pipInto } from '#test-support/pip-into.js'
import { percentile } from './statistics.mjs'
import { itemAt } from '../support/access.mjs'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    clients: { type: 'string', default: '1,8,32,64' },
    threads: { type: 'string', default: String(availableParallelism()) },
    'without-python': { type: 'boolean', default: false },
    json: { type: 'string' },
  },
})
const seconds = Number(values.seconds)
const clientCounts = values.clients.split(',').map(Number)
const model = join(packageRoot, 'samples', 'animals-densenet.pt')
const env = { ...process.env, OMP_NUM_THREADS: values.threads }

/** @typedef {{ name: string, address: URL, stop: () => void }} Service */

/** @returns {Promise<Service>} */
async function ours(/** @type {string} */ name, /** @type {string[]} */ args) {
  const main = join(packageRoot, 'dist', 'lib', 'cli', 'main.js')
  const child = spawn(process.execPath, [main, 'serve', '--port', '0', '--max-queue', '256', ...args], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data')
  return { name, address: new URL(line.trim().split(' ').at(-1)), stop: () => child.kill('SIGKILL') }
}

/** @returns {Promise<Service>} */
async function captum() {
  const python = await pythonWithPeers()
  const packages = ['fastapi==0.115.12', 'uvicorn==0.34.2']
  const folder = await cachedFolder('fastapi', packages, (partial) => pipInto(partial, packages))
  const port = await freePort()
  const program = join(packageRoot, 'scripts', 'bench', 'workers', 'captum_service.py')
  const PYTHONPATH = [python.env['PYTHONPATH'], folder].filter(Boolean).join(process.platform === 'win32' ? ';' : ':')
  const child = spawn(python.command, [program, model, String(port)], {
    env: { ...python.env, OMP_NUM_THREADS: values.threads, PYTHONPATH },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const address = new URL(`http://127.0.0.1:${port}`)
  for (let tries = 0; ; tries++) {
    if (child.exitCode !== null || tries > 600) throw new Error('the service of FastAPI and Captum did not start')
    if (await fetch(address).catch(() => null)) break
    await sleep(100)
  }
  return { name: 'FastAPI + Captum', address, stop: () => child.kill('SIGKILL') }
}

async function freePort() {
  const server = createNetServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  server.close()
  await once(server, 'close')
  return address.port
}

/** A JPEG with some texture, 500 x 375, different for each seed. */
function draw(/** @type {number} */ seed) {
  const [width, height] = [500, 375]
  const data = Buffer.alloc(width * height * 3)
  let noise = seed + 1
  for (let i = 0; i < data.length; i++) {
    noise = (noise * 48271) % 2147483647
    data[i] = 120 + 60 * Math.sin(i / (37 + seed)) + 40 * Math.cos(i / (width * 3 * (5 + seed))) + (noise % 17)
  }
  return sharp(data, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 88 })
    .toBuffer()
}

/**
 * @param {Service} service
 * @param {Agent} agent
 * @param {Buffer} body
 * @returns {Promise<{ status: number, text: string }>}
 */
function send({ address }, agent, body) {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'image/jpeg', 'content-length': body.length }
    const { hostname: host, port } = address
    const sent = request({ host, port, path: '/v1/explain', method: 'POST', agent, headers }, (reply) => {
      let text = ''
      reply.setEncoding('utf8')
      reply.on('data', (chunk) => (text += chunk))
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/**
 * @param {Service} service
 * @param {number} clients
 * @param {number} time in seconds
 */
async function measure(service, clients, time) {
  const agent = new Agent({ keepAlive: true, maxSockets: clients })
  /** @type {number[]} */
  const latencies = []
  const began = performance.now()
  const until = began + 1000 * time
  const client = async (/** @type {number} */ first) => {
    for (let which = first; performance.now() < until; which++) {
      const start = performance.now()
      const { status, text } = await send(service, agent, itemAt(images, which % images.length))
      if (status !== 200) throw new Error(`${service.name} answered ${status}: ${text}`)
      latencies.push(performance.now() - start)
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, first) => client(first)))
  const elapsed = (performance.now() - began) / 1000
  agent.destroy()
  const at = (/** @type {number} */ share) => percentile(latencies, share)
  return {
    service: service.name,
    clients,
    requests: latencies.length,
    perSecond: latencies.length / elapsed,
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
  }
}

/** The norm of the difference over the norm. */
function distance(/** @type {number[]} */ a, /** @type {number[]} */ b) {
  const norm = (/** @type {number[]} */ some) => Math.sqrt(some.reduce((sum, value) => sum + value * value, 0))
  return norm(a.map((value, i) => value - itemAt(b, i))) / norm(b)
}

const images = await Promise.all(Array.from({ length: 16 }, (_, seed) => draw(seed)))
/** @type {Service[]} */
const services = []
process.once('exit', () => services.forEach(({ stop }) => stop()))
services.push(await ours('gradcam serve', []))
services.push(await ours('gradcam serve --max-batch 1', ['--max-batch', '1']))
if (!values['without-python']) services.push(await captum())

const agent = new Agent()
for (const image of images.slice(0, 4)) {
  const answers = []
  for (const service of services) answers.push(JSON.parse((await send(service, agent, image)).text).maps[0])
  for (const [i, answer] of answers.entries()) {
    const off = distance(answer.values, answers[0].values)
    // The Python service decodes JPEG by another library, which may differ by a level here and there.
    if (answer.class !== answers[0].class || !(off < 0.05))
      throw new Error(`${itemAt(services, i).name} gives another map: class ${answer.class}, off by ${off}`)
  }
}

const load = loadavg()[0]
for (const service of services) await measure(service, 8, Math.min(1, seconds))
const rows = []
for (const clients of clientCounts) for (const service of services) rows.push(await measure(service, clients, seconds))

const machine = {
  cpu: cpus()[0]?.model,
  cores: availableParallelism(),
  threads: Number(values.threads),
  loadAtStart: load,
}
console.log(JSON.stringify(machine))
const cells = rows.map(({ service, clients, perSecond, p50, p95, p99 }) => [
  { text: service },
  ...[String(clients), perSecond.toFixed(1), ...[p50, p95, p99].map((ms) => ms.toFixed(0))].map((text) => ({
    text,
    alignRight: true,
  })),
])
const head = ['service', 'clients', 'requests/s', 'p50 ms', 'p95 ms', 'p99 ms'].map((text, i) => ({
  text,
  alignRight: i > 0,
}))
console.log(formatTable([head, ...cells]).join('\n'))
if (values.json) writeFileSync(values.json, JSON.stringify({ machine, seconds, rows }, null, 2))
process.exit(0)
