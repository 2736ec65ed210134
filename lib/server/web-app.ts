import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { GradCamError } from '../base/errors.js'
import type { Admission } from './admission.js'
import { Guard } from './guard.js'
import type { ServerMetrics } from './metrics.js'
import type { ServerSettings } from './options.js'
import type { ServerPackages } from './packages.js'
import { isLoad, problemType, toProblem } from './problem.js'
import type { Route } from './route.js'
import { makeRoutes } from './routes.js'
import type { ExplainService } from './service.js'
import { Uploads } from './uploads.js'
import { Visits } from './visits.js'
import { parseObject } from './parse-object.js'

/** An instance of Fastify. */
export type AppInstance = FastifyInstance

/** What the routes of a server are made of. */
interface AppParts {
  readonly packages: ServerPackages
  readonly settings: ServerSettings
  readonly service: ExplainService
  readonly metrics: ServerMetrics
  readonly admission: Admission
}

/** The status of a request whose client went away, for metrics alone. */
const clientGone = 499

/** What an answer may load and do where a browser shows it as a page: nothing. */
const answerPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** The routes of a server, for an instance of Fastify of its own or of others. */
export class WebApp {
  readonly #visits: Visits
  readonly #routes: readonly Route[]

  constructor(private readonly parts: AppParts) {
    this.#visits = new Visits(parts.admission, parts.settings.deadline)
    this.#routes = makeRoutes({ ...parts, visits: this.#visits, uploads: new Uploads(parts.settings.uploads) })
  }

  /** An instance of our own. Slow clients lose their connections. */
  async standalone(hosts: readonly string[] | null): Promise<AppInstance> {
    const { settings, packages } = this.parts
    const { requestTimeout, deadline } = settings
    const app = packages.fastify({
      logger: false,
      bodyLimit: settings.maxBody,
      requestTimeout,
      // A connection on which nothing happens: a client that does not read its answer.
      connectionTimeout: deadline + requestTimeout,
      keepAliveTimeout: 72_000,
      http: {
        headersTimeout: requestTimeout,
        // Node looks for late requests every 30 seconds otherwise.
        connectionsCheckingInterval: Math.min(1000, requestTimeout),
        maxHeaderSize: 16 * 1024,
      },
      forceCloseConnections: 'idle',
      return503OnClosing: false, // we refuse by a problem of our own
      exposeHeadRoutes: true,
      clientErrorHandler: (error, socket) => refuseConnection(error, socket),
      frameworkErrors: (error, request, reply) => void this.#fail(error, request, reply as unknown as FastifyReply),
    }) as unknown as AppInstance
    app.setNotFoundHandler((request, reply) => {
      const error = new GradCamError('ERR_ROUTE', `There is nothing under ${request.method} ${pathOf(request)}.`, {
        remedy: '/openapi.json lists what there is.',
      })
      return this.#fail(error, request, reply)
    })
    await app.register(async (instance: FastifyInstance) => this.mount(instance, hosts))
    return app
  }

  /** Adds the routes to an instance, which must be encapsulated: the hooks and the error handler are for these routes alone. */
  mount(instance: AppInstance, hosts: readonly string[] | null): void {
    const { settings, metrics, admission } = this.parts
    const guard = new Guard(hosts, settings)
    // The bodies of an app that others made may be read in other ways.
    instance.removeAllContentTypeParsers()
    // The handlers look at the type: a body without one, which Fastify refuses, may be an image as well.
    instance.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    instance.setErrorHandler((error, request, reply) => this.#fail(error, request, reply))
    // A connection that was busy when the server began to close would stay open, and the server with it.
    instance.addHook('onSend', async (_request, reply) => {
      if (admission.isDraining) reply.header('connection', 'close')
    })
    instance.addHook('onRequest', (request, reply, done) => {
      const began = performance.now()
      // Fastify's own onResponse does not come where the client went away.
      reply.raw.once('close', () => {
        const status = reply.raw.writableFinished ? reply.raw.statusCode : clientGone
        metrics.answered(request.routeOptions.url ?? 'none', status, (performance.now() - began) / 1000)
      })
      done()
    })
    instance.addHook('onRequest', async (request, reply) => this.#receive(guard, request, reply))
    instance.addHook('preValidation', async (request) => readSettings(request))
    if (settings.corsOrigins.length > 0) this.#answerPreflights(instance)
    for (const { method, url, query, params, answer, handler, isOpen = false } of this.#routes) {
      const schema = {
        ...(query && { querystring: query }),
        ...(params && { params }),
        ...(answer['application/json'] && { response: { 200: answer['application/json'] } }),
      }
      instance.route({ method, url, schema, bodyLimit: settings.maxBody, config: { isOpen }, handler })
    }
  }

  #receive(guard: Guard, request: FastifyRequest, reply: FastifyReply): void {
    const { host, origin, authorization } = request.headers
    const allowed = origin !== undefined && guard.allows(origin)
    reply.headers({
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      'content-security-policy': answerPolicy,
      'cross-origin-resource-policy': allowed ? 'cross-origin' : 'same-origin',
      ...(allowed && { 'access-control-allow-origin': origin, vary: 'Origin' }),
    })
    const isOpen = (request.routeOptions.config as { readonly isOpen?: boolean }).isOpen === true
    guard.check({ host, origin, authorization, isOpen: isOpen || request.method === 'OPTIONS' })
    if (request.method === 'POST') this.#visits.enter(request, reply)
  }

  #answerPreflights(instance: AppInstance): void {
    instance.route({
      method: 'OPTIONS',
      url: '/*',
      handler: (_, reply) =>
        reply
          .headers({
            'access-control-allow-methods': 'GET, POST',
            'access-control-allow-headers': 'authorization, content-type',
            'access-control-max-age': 600,
          })
          .code(204)
          .send(),
    })
  }

  #fail(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const problem = toProblem(error)
    if (problem.status >= 500 && !isLoad(problem) && !this.#visits.isOver(request)) this.parts.settings.onError(error)
    if (problem.status === 503) reply.header('retry-after', 1)
    if (problem.code === 'ERR_TOKEN') reply.header('www-authenticate', 'Bearer')
    return reply.code(problem.status).type(problemType).send(JSON.stringify(problem))
  }
}

/** What stands as JSON in the query is read before it is checked. */
function readSettings(request: FastifyRequest): void {
  const query = request.query as Record<string, unknown>
  for (const name of ['settings', 'inputs'])
    if (typeof query[name] === 'string') query[name] = parseObject(query[name], `\`${name}\``)
}

const pathOf = ({ url }: FastifyRequest): string => (url.split('?')[0] as string).slice(0, 200)

/** Answers what is not a whole request: there is no request yet that Fastify could answer. */
function refuseConnection(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const problem = toProblem(Object.assign(error, { statusCode: 400 }))
  const body = JSON.stringify(problem)
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    `Content-Type: ${problemType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  // A client that does not close its side either does not keep ours.
  setTimeout(() => socket.destroy(), 1000).unref()
}

/** Whether only this machine can reach a server that listens there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}
