/** @ts-ignore: without types of Node.js in the program these are `any`. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { Admission } from './admission.js'
import { ServerMetrics } from './metrics.js'
import { readServerOptions, type ServerOptions } from './options.js'
import { serverPackages } from './packages.js'
import { ExplainService } from './service.js'
import { isLoopback, WebApp, type AppInstance } from './web-app.js'

/** Where a server listens. */
export interface ListenOptions {
  /** '127.0.0.1' by default. */
  readonly host?: string | undefined
  /** 8080 by default; 0 takes a free port. */
  readonly port?: number | undefined
  /** Whether a host that others can reach needs no token. False by default. */
  readonly insecure?: boolean | undefined
}

/** What {@link createServer} gives: three ways to answer requests, of which each may be used. */
export interface ExplainServer extends AsyncDisposable {
  /**
   * For an existing Fastify 5: `app.register(server.plugin, { prefix: '/gradcam' })`. The routes, the errors and the limits are
   * those of the plugin; time-outs of connections are those of the app. It ends with the app.
   */
  readonly plugin: (instance: object, options?: object) => Promise<void>
  /**
   * For `node:http`, Express and the like: `app.use('/gradcam', server.handler)`. What comes before must not read the body.
   */
  readonly handler: (request: IncomingMessage, reply: ServerResponse) => void
  /**
   * Listens by itself, with time-outs for slow clients.
   *
   * @returns the address, e.g. 'http://127.0.0.1:8080'
   * @throws GradCamError ERR_INVALID_ARGUMENT, also for a host that others can reach without a token and `insecure`; what the
   *   system says where the port cannot be taken
   */
  listen(options?: ListenOptions): Promise<string>
  /**
   * Refuses new requests, waits for those in progress, and frees what the server made. The models are left to the caller. Safe to
   * call again.
   */
  close(): Promise<void>
  /** The same as `close()`: for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * A server that explains images: requests that arrive together share a batch. docs/server.md describes its API and its limits.
 * Requires the packages `fastify`, `@fastify/busboy` and `prom-client`.
 *
 * ```ts
 * using model = await ScriptModule.load('model.pt')
 * await using server = await createServer({ models: { animals: { model, labels } } })
 * console.log(await server.listen({ port: 8080 }))
 * ```
 *
 * @returns after every model has explained an image of noise, so that the first request is answered as fast as others
 * @throws GradCamError ERR_INVALID_ARGUMENT, ERR_TOOL_MISSING where a package is not installed, ERR_LAYER_NOT_FOUND, and what
 *   the explainers throw for a model that they cannot explain
 */
export async function createServer(options: ServerOptions): Promise<ExplainServer> {
  const settings = readServerOptions(options)
  const packages = await serverPackages()
  const admission = new Admission(settings.maxQueue)
  const metrics = new ServerMetrics(packages, admission, settings.processMetrics)
  const service = await ExplainService.open(settings, {
    onBatch: (model) => metrics.batches(model),
    inProgress: () => admission.inProgress,
  })
  const app = new WebApp({ packages, settings, service, metrics, admission })
  let own: AppInstance | null = null
  let handling: Promise<AppInstance> | null = null
  let closed: Promise<void> | null = null

  const close = async (): Promise<void> => {
    const drained = admission.drain()
    const stopped = own?.close()
    await drained
    await closeConnections(own, stopped)
    await (await handling?.catch(() => null))?.close()
    await service.close()
  }
  const closeOnce = (): Promise<void> => (closed ??= close())
  return {
    plugin: async (instance) => {
      const host = instance as AppInstance
      host.addHook('onClose', closeOnce)
      app.mount(host, settings.allowedHosts)
    },
    handler: (request, reply) => {
      handling ??= app.standalone(settings.allowedHosts).then(async (made) => {
        await made.ready()
        return made
      })
      handling.then(
        (made) => made.routing(request, reply),
        (error: unknown) => {
          settings.onError(error)
          reply.destroy()
        },
      )
    },
    listen: async (where = {}) => {
      const { host = '127.0.0.1', port = 8080, insecure = false } = expect.options(where)
      expect.string('host', host, 'the name or the address of a host')
      expect.integer('port', port, { min: 0, max: 65_535 })
      if (!isLoopback(host) && settings.token === null && !expect.boolean('insecure', insecure))
        throw new GradCamError(
          'ERR_INVALID_ARGUMENT',
          `Others can reach '${host}', so that the server requires a token.`,
          {
            remedy: 'Give a `token`, or `insecure: true` where only those can reach it who may use it.',
          },
        )
      if (closed) throw new GradCamError('ERR_CLOSED', 'The server was closed.')
      if (own) throw new GradCamError('ERR_INVALID_ARGUMENT', 'The server listens already.')
      own = await app.standalone([...(settings.allowedHosts ?? []), host.toLowerCase()])
      return await own.listen({ host, port })
    },
    close: closeOnce,
    [Symbol.asyncDispose]: closeOnce,
  }
}

/** Milliseconds for what is asked besides explanations, and for the last bytes of answers. */
const grace = 1000

/** Ends an instance that listens: Node waits for clients that have sent nothing yet, and no longer looks whether they are late. */
async function closeConnections(instance: AppInstance | null, stopped: Promise<void> | undefined): Promise<void> {
  instance?.server.closeIdleConnections()
  const timer = setTimeout(() => instance?.server.closeAllConnections(), grace)
  await stopped
  clearTimeout(timer)
}
