import { GradCamError } from '../base/errors.js'
import type { QueueAddress } from './queue-url.js'

/** The package that only queues use. */
export type BullMQ = typeof import('bullmq')

/** The package that only the metrics of a worker use. */
export type Prometheus = typeof import('prom-client')

/** Throws ERR_TOOL_MISSING. */
export async function metricsPackage(): Promise<Prometheus> {
  try {
    return (await import('prom-client')).default
  } catch (cause) {
    throw new GradCamError(
      'ERR_TOOL_MISSING',
      `Metrics require a package that cannot be loaded: ${firstLine(cause)}.`,
      {
        remedy: 'Install it: npm install prom-client@15',
        cause,
      },
    )
  }
}

/**
 * BullMQ, and the driver of the server it is used with. They are optional peers: a job on one machine requires neither.
 *
 * Throws ERR_TOOL_MISSING.
 */
export async function queuePackages({ kind }: QueueAddress): Promise<BullMQ> {
  const driver = kind === 'redis' ? 'ioredis' : 'pg'
  try {
    const [bullmq] = await Promise.all([import('bullmq'), import(driver)])
    return bullmq
  } catch (cause) {
    throw new GradCamError(
      'ERR_TOOL_MISSING',
      `A queue requires packages that cannot be loaded: ${firstLine(cause)}.`,
      {
        remedy: `Install them: npm install bullmq@6 ${driver}@${kind === 'redis' ? 5 : 8}`,
        cause,
      },
    )
  }
}

const firstLine = (error: unknown): string => ((error as Error).message.split('\n')[0] as string).replace(/\.$/, '')
