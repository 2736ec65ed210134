import test from 'ava'
import express from 'express'
import fastify from 'fastify'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer, type ServerOptions } from '../../lib/index.js'
import { explained, listening, post, rawConnection, refused, sampleServed, statusWith } from '../support/server.js'

const served = await sampleServed()
test.after.always(() => served.model.dispose())
const models = { animals: served }
const token = 'a-token-of-sixteen-letters'

test.serial('a name that is not ours is refused, as of a page that was led here by DNS rebinding', async (t) => {
  const { address } = await listening(t, { models, allowedHosts: ['gradcam.example'] })
  const port = Number(new URL(address).port)
  const hosts: [host: string, status: number][] = [
    [`127.0.0.1:${port}`, 200],
    [`localhost:${port}`, 200],
    ['LOCALHOST', 200],
    [`[::1]:${port}`, 200],
    ['192.0.2.7', 200],
    [`gradcam.example:${port}`, 200],
    ['Gradcam.Example', 200],
    ['attacker.example', 403],
    [`attacker.example:${port}`, 403],
    ['127.0.0.1.attacker.example', 403],
    ['localhost.attacker.example', 403],
    ['localhost@attacker.example', 403],
    ['gradcam.example.attacker.example', 403],
  ]
  for (const [host, status] of hosts) {
    const reply = await statusWith(address, { host })
    t.is(reply.status, status, host)
    if (status === 403) t.like(JSON.parse(reply.text), { code: 'ERR_ORIGIN', status: 403 })
  }
  const { socket, ended } = rawConnection(t, address)
  socket.write('GET /healthz HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n')
  t.regex(await ended, /^HTTP\/1.1 403 /)
  for (const path of ['/', '/healthz', '/metrics', '/openapi.json'])
    t.is((await statusWith(address, { host: 'attacker.example' }, { path })).status, 403, path)
})

test.serial('pages of other origins are refused, unless their origin is allowed', async (t) => {
  const friend = 'https://app.example'
  const { address } = await listening(t, { models, corsOrigins: [friend] })
  const { host } = new URL(address)
  for (const origin of [
    'https://attacker.example',
    'null',
    `https://${host}.attacker.example`,
    'http://localhost:1',
    'x',
  ]) {
    const reply = await statusWith(address, { host, origin })
    t.is(reply.status, 403, origin)
    t.is(reply.headers['access-control-allow-origin'], undefined)
    await refused(
      t,
      post(address, '', undefined, { headers: { origin, 'content-type': 'image/png' } }),
      403,
      'ERR_ORIGIN',
    )
  }
  const own = await statusWith(address, { host, origin: address })
  t.is(own.status, 200)
  t.is(own.headers['access-control-allow-origin'], undefined)
  const allowed = await statusWith(address, { host, origin: friend })
  t.is(allowed.status, 200)
  t.is(allowed.headers['access-control-allow-origin'], friend)
  t.is(allowed.headers['vary'], 'Origin')
  const preflight = await statusWith(address, { host, origin: friend }, { method: 'OPTIONS', path: '/v1/explain' })
  t.is(preflight.status, 204)
  t.is(preflight.headers['access-control-allow-origin'], friend)
  t.regex(String(preflight.headers['access-control-allow-headers']), /authorization/)
})

test.serial('without CORS answers have no such headers, and preflights are refused', async (t) => {
  const { address } = await listening(t, { models })
  const { host } = new URL(address)
  const preflight = await statusWith(
    address,
    { host, origin: 'https://app.example' },
    { method: 'OPTIONS', path: '/v1/explain' },
  )
  t.true(preflight.status >= 400)
  t.is(preflight.headers['access-control-allow-origin'], undefined)
})

test.serial('a token is required where there is one, but for what probes ask', async (t) => {
  const { address } = await listening(t, { models, token })
  const image = 'image/png'
  const challenge = await post(address)
  t.is(challenge.headers.get('www-authenticate'), 'Bearer')
  await refused(t, challenge, 401, 'ERR_TOKEN')
  for (const authorization of ['', 'Bearer', `Basic ${token}`, `Bearer ${token}x`, `Bearer ${token.slice(1)}`, token])
    await refused(
      t,
      post(address, '', undefined, { headers: { authorization, 'content-type': image } }),
      401,
      'ERR_TOKEN',
    )
  for (const path of ['/v1/models', '/metrics', '/openapi.json', '/v1/methods'])
    await refused(t, fetch(address + path), 401, 'ERR_TOKEN')
  for (const path of ['/', '/healthz', '/readyz']) t.is((await fetch(address + path)).status, 200, path)
  await explained(
    t,
    post(address, '', undefined, { headers: { authorization: `Bearer ${token}`, 'content-type': image } }),
  )
})

test.serial('others can reach a server only where it has a token, or that was asked for', async (t) => {
  const open = async (options: Partial<ServerOptions>) => {
    const server = await createServer({ models, ...options })
    t.teardown(() => server.close())
    return server
  }
  const plain = await open({})
  for (const host of ['0.0.0.0', '::', 'example.org', '10.0.0.1'])
    await t.throwsAsync(plain.listen({ host, port: 0 }), { code: 'ERR_INVALID_ARGUMENT', message: /token/ })
  t.regex(await plain.listen({ host: '0.0.0.0', port: 0, insecure: true }), /^http:/)
  await t.throwsAsync(plain.listen({ port: 0 }), { code: 'ERR_INVALID_ARGUMENT', message: /listens already/ })
  const guarded = await open({ token })
  t.regex(await guarded.listen({ host: '0.0.0.0', port: 0 }), /^http:/)
  await guarded.close()
  await t.throwsAsync(guarded.listen({ port: 0 }), { code: 'ERR_CLOSED' })
})

test('options that cannot be are refused before anything starts', async (t) => {
  const cases: [options: object, message: RegExp][] = [
    [{}, /models/],
    [{ models: {} }, /at least one/],
    [{ models: { 'a b': served } }, /keys/],
    [{ models: { a: { model: 'model.pt' } } }, /loaded model/],
    [{ models: { a: { ...served, preprocess: 'no' } } }, /preprocess/],
    [{ models, methods: ['grad'] }, /methods/],
    [{ models, maxBatch: 0 }, /maxBatch/],
    [{ models, batchWindow: -1 }, /batchWindow/],
    [{ models, deadline: Infinity }, /deadline/],
    [{ models, token: 'short' }, /token/],
    [{ models, corsOrigins: ['https://app.example/'] }, /corsOrigins/],
    [{ models, maxBdoy: 1 }, /maxBdoy/],
  ]
  for (const [options, message] of cases)
    await t.throwsAsync(createServer(options as ServerOptions), { code: 'ERR_INVALID_ARGUMENT', message })
  await t.throwsAsync(createServer({ models: { a: { ...served, layer: 'no' } } }), { code: 'ERR_LAYER_NOT_FOUND' })
})

test.serial('mounted in a Fastify and in an Express of others, beside what they have', async (t) => {
  const server = await createServer({ models })
  const app = fastify()
  app.get('/own', () => ({ own: true }))
  app.post('/own', (request) => request.body)
  await app.register(server.plugin, { prefix: '/gradcam' })
  const address = await app.listen({ port: 0 })
  const answer = await explained(t, post(`${address}/gradcam`))
  t.deepEqual(await (await fetch(`${address}/own`)).json(), { own: true })
  const headers = { 'content-type': 'application/json' }
  t.deepEqual(await (await fetch(`${address}/own`, { method: 'POST', headers, body: '[1]' })).json(), [1])
  t.is((await fetch(`${address}/own`)).headers.get('content-security-policy'), null)
  t.is(((await (await fetch(`${address}/nothing`)).json()) as { error: string }).error, 'Not Found')
  await refused(t, post(`${address}/gradcam`, '?target=cow'), 422, 'ERR_TARGET')
  await app.close()
  await server.close()

  const second = await createServer({ models })
  t.teardown(() => second.close())
  const web = express()
  web.get('/own', (_, reply) => void reply.json({ own: true }))
  web.use('/gradcam', second.handler)
  const http = createHttpServer(web).listen(0, '127.0.0.1')
  await once(http, 'listening')
  t.teardown(() => void http.close())
  const there = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  t.deepEqual(await explained(t, post(`${there}/gradcam`)), answer)
  t.deepEqual(await (await fetch(`${there}/own`)).json(), { own: true })
  await refused(t, fetch(`${there}/gradcam/nothing`), 404, 'ERR_ROUTE')
  t.is((await fetch(`${there}/gradcam/`)).status, 200)
})
