import { GradCamError } from '../base/errors.js'

/** The packages that only the server uses. */
export interface ServerPackages {
  readonly fastify: typeof import('fastify').default
  readonly prometheus: typeof import('prom-client')
  readonly busboy: typeof import('@fastify/busboy').Busboy
}

let loading: Promise<ServerPackages> | undefined

/**
 * They are optional peers, not dependencies. Most who install this package explain files and start no server; and a service that
 * mounts the plugin has a Fastify of its own, which must be the one that is used.
 *
 * Throws ERR_TOOL_MISSING.
 */
export function serverPackages(): Promise<ServerPackages> {
  return (loading ??= load())
}

async function load(): Promise<ServerPackages> {
  try {
    const [fastify, prometheus, busboy] = await Promise.all([
      import('fastify'),
      import('prom-client'),
      import('@fastify/busboy'),
    ])
    return { fastify: fastify.default, prometheus: prometheus.default, busboy: busboy.Busboy }
  } catch (cause) {
    loading = undefined // another call may find them installed
    throw new GradCamError(
      'ERR_TOOL_MISSING',
      `The server requires packages that cannot be loaded: ${firstLine(cause)}.`,
      {
        remedy: 'Install them: npm install fastify@5 @fastify/busboy@3 prom-client@15',
        cause,
      },
    )
  }
}

const firstLine = (error: unknown): string => ((error as Error).message.split('\n')[0] as string).replace(/\.$/, '')
