import type { ExecutionContext } from 'ava'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { packageRoot } from '../../lib/base/paths.js'
import { createServer, readLabels, ScriptModule, type ExplainServer, type ServerOptions } from '../../lib/index.js'
import { sampleLabels, sampleModel } from './batch.js'

export const catDog = readFileSync(join(packageRoot, 'samples', 'cat_dog.png'))

/** The sample model, prepared as `gradcam serve` does without --model. */
export async function sampleServed() {
  const model = await ScriptModule.load(sampleModel)
  return { model, labels: await readLabels(sampleLabels), preprocess: 'squash' } as const
}

/** A server on a free port, which is closed at the end of the test. */
export async function listening(
  t: ExecutionContext,
  options: ServerOptions,
): Promise<{ readonly server: ExplainServer; readonly address: string }> {
  const server = await createServer({ onError: (error) => t.log(error), ...options })
  t.teardown(() => server.close())
  return { server, address: await server.listen({ port: 0 }) }
}

/** An answer of /v1/explain as JSON. */
export interface ExplainAnswer {
  readonly model: string
  readonly size: readonly number[]
  readonly region: { readonly top: number; readonly left: number; readonly bottom: number; readonly right: number }
  readonly outputs: number
  readonly top: readonly {
    readonly class: number
    readonly label: string
    readonly score: number
    readonly probability: number
  }[]
  readonly maps: readonly {
    readonly method: string
    readonly layer: string | null
    readonly class: number
    readonly label: string
    readonly score: number
    readonly condition: { readonly state: string }
    readonly height: number
    readonly width: number
    readonly values?: readonly number[]
    readonly npy?: string
  }[]
}

export interface ProblemAnswer {
  readonly status: number
  readonly type: string
  readonly title: string
  readonly detail?: string
  readonly code: string
  readonly remedy?: string
}

/** Posts an image. */
export function post(
  address: string,
  query = '',
  body: Uint8Array = catDog,
  init: RequestInit = {},
): Promise<Response> {
  return fetch(`${address}/v1/explain${query}`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body: new Uint8Array(body),
    ...init,
  })
}

export async function explained(t: ExecutionContext, answer: Promise<Response>): Promise<ExplainAnswer> {
  const reply = await answer
  const text = await reply.text()
  t.is(reply.status, 200, text)
  return JSON.parse(text) as ExplainAnswer
}

/** Checks that an answer is a problem with this code, and with the status of the table. */
export async function refused(
  t: ExecutionContext,
  answer: Promise<Response> | Response,
  status: number,
  code: string,
): Promise<ProblemAnswer> {
  const reply = await answer
  const text = await reply.text()
  t.is(reply.status, status, text)
  t.regex(reply.headers.get('content-type') ?? '', /^application\/problem\+json/)
  const problem = JSON.parse(text) as ProblemAnswer
  t.like(problem, { status, code })
  // A client cannot set these.
  t.notRegex(problem.detail ?? '', /maxPixels|decodeSeconds|option svg|on request/)
  t.true(problem.detail?.endsWith(problem.remedy ?? '') ?? problem.remedy === undefined, text)
  return problem
}

/** The value of a metric that has no labels, or of the first line that starts so. */
export async function metric(address: string, start: string): Promise<number> {
  const text = await (await fetch(`${address}/metrics`)).text()
  const line = text.split('\n').find((one) => one.startsWith(`${start} `) || one.startsWith(`${start}{`))
  return Number(line?.slice(line.lastIndexOf(' ') + 1) ?? NaN)
}

/** Waits until a metric has a value: at most ten seconds. */
export async function until(address: string, start: string, value: number): Promise<boolean> {
  for (let attempt = 0; attempt < 500; attempt++) {
    if ((await metric(address, start)) === value) return true
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return false
}

/** The status of a request with headers that fetch does not let a program set. */
export function statusWith(
  address: string,
  headers: Readonly<Record<string, string>>,
  { method = 'GET', path = '/v1/models' } = {},
): Promise<{ readonly status: number; readonly headers: NodeJS.Dict<string | string[]>; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(address)
    const sent = request({ hostname, port, path, method, headers: { ...headers, connection: 'close' } }, (reply) => {
      let text = ''
      reply.setEncoding('utf8')
      reply.on('data', (chunk: string) => (text += chunk))
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, headers: reply.headers, text }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** A connection on which a test writes what it likes; `ended` resolves with all that came back, when the server has closed it. */
export function rawConnection(t: ExecutionContext, address: string): { socket: Socket; ended: Promise<string> } {
  const { hostname, port } = new URL(address)
  const socket = connect(Number(port), hostname)
  t.teardown(() => socket.destroy())
  let text = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => (text += chunk))
  socket.on('error', () => {})
  return { socket, ended: new Promise((resolve) => socket.once('close', () => resolve(text))) }
}
