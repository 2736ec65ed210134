// Sends `gradcam serve` twice (or --times) the requests that it can answer, and looks whether any is lost and whether memory grows:
//
//   node scripts/check/overload.mjs [--count 10000] [--queue 32] [--times 2] [--seconds-to-measure 3]
//
// First as many clients as the queue takes measure the capacity. Then requests are sent at twice that rate, whether earlier ones
// have been answered or not. Each must be answered: 200 with the scores of its image, or 503 with Retry-After. Some are half
// sent, are not images, or go away, and must take nothing from the others.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import sharp from 'sharp'
import { packageRoot } from '#internal'
import { itemAt } from '../support/access.mjs'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '10000' },
    queue: { type: 'string', default: '32' },
    times: { type: 'string', default: '2' },
    'seconds-to-measure': { type: 'string', default: '3' },
  },
})
const count = Number(values.count)
const queue = Number(values.queue)
/** What the process may have more in the last third than in the third before, beside a hundredth of it: noise of the heap. */
const slackMB = 32
const kinds = 5

const main = join(packageRoot, 'dist', 'lib', 'cli', 'main.js')
const server = spawn(process.execPath, [main, 'serve', '--port', '0', '--max-queue', String(queue)], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
process.once('exit', () => server.kill('SIGKILL'))
let ended = false
server.once('exit', () => (ended = true))
const [line] = await once(server.stdout.setEncoding('utf8'), 'data')
const address = new URL(line.trim().split(' ').at(-1))
const agent = new Agent({ keepAlive: true, maxSockets: 4 * queue })

const images = await Promise.all(
  Array.from({ length: kinds }, (_, seed) =>
    sharp({ create: { width: 320, height: 240, channels: 3, background: { r: 40 * seed, g: 90, b: 200 - 30 * seed } } })
      .jpeg()
      .toBuffer(),
  ),
)

/**
 * @param {Buffer} body
 * @param {{ leave?: boolean, half?: boolean }} [how]
 * @returns {Promise<{ status: number, text: string, retry: string | undefined } | null>} null where the connection ended
 *   without an answer
 */
function send(body, { leave = false, half = false } = {}) {
  return new Promise((resolve) => {
    const headers = { 'content-type': 'image/jpeg', 'content-length': body.length }
    const options = { host: address.hostname, port: address.port, path: '/v1/explain', method: 'POST', agent, headers }
    const sent = request(options, (reply) => {
      let text = ''
      reply.setEncoding('utf8')
      reply.on('data', (chunk) => (text += chunk))
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text, retry: reply.headers['retry-after'] }))
      reply.on('error', () => resolve(null))
    })
    sent.on('error', () => resolve(null))
    if (half) sent.write(body.subarray(0, body.length >> 1))
    else sent.end(body)
    if (leave || half) setTimeout(() => sent.destroy(), 30)
  })
}

/** @param {string} name */
async function metric(name) {
  const text = await (await fetch(new URL('/metrics', address))).text()
  return Number(
    text
      .split('\n')
      .find((each) => each.startsWith(`${name} `))
      ?.split(' ')[1],
  )
}

/** @returns {number} */
const scoreOf = (/** @type {string} */ text) => JSON.parse(text).maps[0].score
/** @type {number[]} */
const expected = []
for (const image of images) expected.push(scoreOf((await send(image))?.text ?? ''))

/** Requests in a second, of as many clients as the queue takes. */
async function capacity() {
  const until = performance.now() + 1000 * Number(values['seconds-to-measure'])
  let answered = 0
  const client = async (/** @type {number} */ which) => {
    for (; performance.now() < until; answered++) await send(itemAt(images, which % kinds))
  }
  const began = performance.now()
  await Promise.all(Array.from({ length: queue }, (_, which) => client(which)))
  return (1000 * answered) / (performance.now() - began)
}

const most = await capacity()
const rate = Number(values.times) * most
console.log(`capacity ${most.toFixed(1)} requests a second; sending ${count} at ${rate.toFixed(1)}`)

/** @type {Record<string, number>} */
const answers = {}
/** @type {string[]} */
const problems = []
/** @type {number[]} */
const resident = []
const note = (/** @type {string} */ what) => (answers[what] = (answers[what] ?? 0) + 1)

/** @param {number} index */
async function visit(index) {
  if (index % 50 === 7) {
    const answer = await send(Buffer.from('not an image'))
    if (answer && ![422, 503].includes(answer.status))
      problems.push(`what is not an image was answered ${answer.status}`)
    note(answer ? `bad image ${answer.status}` : 'lost')
    return
  }
  if (index % 50 === 17 || index % 50 === 27) {
    const how = index % 50 === 17 ? 'leave' : 'half'
    await send(itemAt(images, 0), { [how]: true })
    note(how === 'leave' ? 'left' : 'half sent')
    return
  }
  const answer = await send(itemAt(images, index % kinds))
  note(answer ? String(answer.status) : 'lost')
  if (!answer) return
  if (answer.status === 200) {
    const off = Math.abs(scoreOf(answer.text) - itemAt(expected, index % kinds))
    // A batch sums in another order than one image alone: rounding of float32 in scores of order 10.
    if (!(off < 1e-4)) problems.push(`request ${index} was answered with the score of another image, off by ${off}`)
  } else if (answer.status !== 503) problems.push(`request ${index} was answered ${answer.status}: ${answer.text}`)
  else if (!answer.retry) problems.push('a 503 has no Retry-After')
}

const began = performance.now()
const all = []
for (let index = 0; index < count && !ended; index++) {
  const due = began + (1000 * index) / rate
  if (due > performance.now()) await sleep(due - performance.now())
  all.push(visit(index))
  if (index % Math.ceil(count / 12) === 0) resident.push((await metric('process_resident_memory_bytes')) / 2 ** 20)
}
await Promise.all(all)
const seconds = (performance.now() - began) / 1000
if (ended) problems.push('the server ended')
else {
  const left = await metric('gradcam_requests_in_progress')
  if (left > 0) problems.push(`${left} requests are still in progress`)
  const again = await send(itemAt(images, 0))
  if (again?.status !== 200) problems.push(`afterwards it answers ${again?.status}`)
}
agent.destroy()
if (!ended) {
  server.kill('SIGTERM')
  const [code] = await once(server, 'exit')
  if (code !== 0) problems.push(`it ended with exit code ${code}`)
}
if (answers['lost']) problems.push(`${answers['lost']} requests were not answered`)
const third = Math.floor(resident.length / 3)
const mean = (/** @type {number[]} */ some) => some.reduce((sum, value) => sum + value, 0) / some.length
const [before, after] = [mean(resident.slice(-2 * third, -third)), mean(resident.slice(-third))]
if (count >= 1000 && after > before + slackMB + before / 100)
  problems.push(`memory grows: ${before.toFixed(0)} MiB, then ${after.toFixed(0)}`)

console.log(`${count} requests in ${seconds.toFixed(0)} s: ${JSON.stringify(answers)}`)
console.log(`resident, MiB: ${resident.map((one) => one.toFixed(0)).join(' ')}`)
for (const problem of new Set(problems)) console.log(problem)
console.log(problems.length === 0 ? 'no reply lost' : 'not as it should be')
process.exitCode = problems.length === 0 ? 0 : 1
