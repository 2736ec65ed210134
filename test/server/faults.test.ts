import test from 'ava'
import sharp from 'sharp'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { jpegOf } from '../support/batch.js'
import { heldTensors, settledLiveTensors } from '../support/live-tensors.js'
import {
  catDog,
  explained,
  listening,
  metric,
  post,
  rawConnection,
  refused,
  sampleServed,
  until,
} from '../support/server.js'

const served = await sampleServed()
test.after.always(() => served.model.dispose())
const models = { animals: served }
/** A method that runs the model a thousand times, for each class: seconds, whatever the machine. */
const slow = `?method=rise${Array.from({ length: 8 }, (_, target) => `&target=${target}`).join('')}`
const inProgress = 'gradcam_requests_in_progress'
const batches = 'gradcam_batch_images_count{model="animals"}'

/** Whether a request ended because its client stopped it. */
const isAborted = (sent: Promise<Response>): Promise<boolean> =>
  sent.then(
    () => false,
    (error: unknown) => (error as Error).name === 'AbortError',
  )

test.serial('beyond its limit the queue refuses at once, with a time to come again', async (t) => {
  const { address } = await listening(t, { models, maxQueue: 2 })
  const stop = new AbortController()
  const { signal } = stop
  const held = [1, 2].map(() => isAborted(post(address, slow, catDog, { signal })))
  t.true(await until(address, inProgress, 2))
  const began = performance.now()
  const reply = await post(address)
  t.true(Number(reply.headers.get('retry-after')) >= 1)
  await refused(t, reply, 503, 'ERR_BUSY')
  t.true(performance.now() - began < 2000)
  // What does not explain is answered all the same.
  for (const path of ['/healthz', '/readyz', '/v1/models']) t.is((await fetch(address + path)).status, 200)
  stop.abort()
  t.deepEqual(await Promise.all(held), [true, true])
  t.true(await until(address, inProgress, 0))
  await explained(t, post(address))
})

test.serial('after its deadline a request is answered 504, and its work stops', async (t) => {
  const before = await heldTensors()
  const { address, server } = await listening(t, { models, deadline: 1000 })
  await refused(t, post(address, slow), 504, 'ERR_DEADLINE')
  t.is(await metric(address, inProgress), 0)
  // On a busy machine the run that is stopped may keep the model for a moment.
  let next = await post(address)
  for (let tries = 0; next.status === 504 && tries < 10; tries++) next = await post(address)
  t.is(next.status, 200)
  t.is(await metric(address, batches), 1, 'the first was not explained to its end')
  await server.close()
  t.is(await settledLiveTensors(before), before)
})

test.serial(
  'the work of a client that goes away is dropped: what waits is not begun, what runs is stopped',
  async (t) => {
    const before = await heldTensors()
    const { address, server } = await listening(t, { models, maxBatch: 1, batchWindow: 0 })
    const clients = Array.from({ length: 6 }, () => new AbortController())
    const sent = clients.map(({ signal }) => isAborted(post(address, slow, catDog, { signal })))
    t.true(await until(address, inProgress, 6))
    await sleep(100)
    for (const client of clients) client.abort()
    t.true((await Promise.all(sent)).every((stopped) => stopped))
    t.true(await until(address, inProgress, 0))
    await explained(t, post(address))
    t.is(await metric(address, batches), 1, 'none of the six was explained')
    t.true(await until(address, 'gradcam_requests_total{route="/v1/explain",status="499"}', 6))
    await server.close()
    t.is(await settledLiveTensors(before), before)
  },
)

test.serial('one of a batch that goes away takes nothing from the others', async (t) => {
  const { address } = await listening(t, { models, batchWindow: 300 })
  const leaving = new AbortController()
  const alone = await explained(t, post(address))
  const gone = isAborted(post(address, '', await jpegOf(3), { signal: leaving.signal }))
  const stays = post(address)
  await sleep(100)
  leaving.abort()
  t.true(await gone)
  const answer = await explained(t, stays)
  t.deepEqual(answer, alone)
})

test.serial('bodies and images beyond the limits are refused, before they are read or decoded', async (t) => {
  const { address } = await listening(t, { models, maxBody: 100_000, maxPixels: 50_000 })
  await refused(t, post(address, '', Buffer.alloc(100_001)), 413, 'ERR_REQUEST_TOO_LARGE')
  // Without a length: what is too much is seen as it comes.
  const { socket, ended } = rawConnection(t, address)
  socket.write(
    'POST /v1/explain HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ntransfer-encoding: chunked\r\n\r\n',
  )
  for (let i = 0; i < 30 && socket.writable; i++) {
    socket.write(`1000\r\n${'x'.repeat(4096)}\r\n`)
    await sleep(5)
  }
  socket.end('0\r\n\r\n')
  const said = await ended
  t.regex(said, /^HTTP\/1.1 413 /)
  t.regex(said, /ERR_REQUEST_TOO_LARGE/)
  const wide = await sharp({ create: { width: 251, height: 200, channels: 3, background: 'red' } })
    .png()
    .toBuffer()
  await refused(t, post(address, '', wide), 413, 'ERR_IMAGE_TOO_LARGE')
  const { socket: other, ended: otherEnded } = rawConnection(t, address)
  other.write(`GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-long: ${'y'.repeat(20_000)}\r\n\r\n`)
  t.regex(await otherEnded, /^HTTP\/1.1 4/)
})

test.serial('slow headers and half-sent bodies lose their connection, and their place', async (t) => {
  const { address } = await listening(t, { models, requestTimeout: 400, maxQueue: 1 })
  const headers = rawConnection(t, address)
  headers.socket.write('POST /v1/explain HTTP/1.1\r\nhost: local')
  const half = rawConnection(t, address)
  half.socket.write(
    'POST /v1/explain HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: 1000\r\n\r\nhalf',
  )
  t.true(await until(address, inProgress, 1))
  await refused(t, post(address), 503, 'ERR_BUSY')
  // A byte now and then does not keep it.
  const drip = setInterval(() => void (half.socket.writable && half.socket.write('.')), 50)
  t.teardown(() => clearInterval(drip))
  t.regex(await half.ended, /^HTTP\/1.1 408 [^]*ERR_REQUEST_TIMEOUT/)
  t.regex(await headers.ended, /^HTTP\/1.1 408 [^]*ERR_REQUEST_TIMEOUT/)
  t.true(await until(address, inProgress, 0))
  await explained(t, post(address))
})

test.serial('a body that its client does not finish is not an error of the server', async (t) => {
  const errors: unknown[] = []
  const { address } = await listening(t, { models, onError: (error) => errors.push(error) })
  for (let i = 0; i < 5; i++) {
    const { socket, ended } = rawConnection(t, address)
    socket.write(
      'POST /v1/explain HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: 1000\r\n\r\nhalf',
    )
    t.true(await until(address, inProgress, 1))
    socket.destroy()
    await ended
    t.true(await until(address, inProgress, 0))
  }
  for (const text of ['GARBAGE\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n']) {
    const { socket, ended } = rawConnection(t, address)
    socket.write(text)
    t.regex(await ended, /^HTTP\/1.1 4/)
  }
  t.deepEqual(errors, [])
  await explained(t, post(address))
})

test.serial('closing waits for requests in progress, and refuses others', async (t) => {
  const before = await heldTensors()
  const { address, server } = await listening(t, { models, batchWindow: 300 })
  // One that has connected and sent nothing keeps nothing open.
  const silent = rawConnection(t, address)
  await once(silent.socket, 'connect')
  const sent = [post(address), post(address, '?target=1')]
  t.true(await until(address, inProgress, 2))
  const closing = server.close()
  const [first, second] = await Promise.all(sent)
  await explained(t, Promise.resolve(first as Response))
  await explained(t, Promise.resolve(second as Response))
  await closing
  t.is(await silent.ended, '')
  await t.throwsAsync(fetch(`${address}/healthz`))
  t.is(await settledLiveTensors(before), before)
})
