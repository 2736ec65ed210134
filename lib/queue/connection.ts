import type { Job, Processor, Queue, QueueOptions, Worker, WorkerOptions } from 'bullmq'
import { GradCamError } from '../base/errors.js'
import { isInTime } from './in-time.js'
import { queuePackages, type BullMQ } from './packages.js'
import { plain, withoutPassword, type QueueAddress } from './queue-url.js'

/** The two queues of this package on a server: a task for each job, and a task for each chunk of inputs. */
export interface QueueServer {
  readonly address: QueueAddress
  readonly jobs: Queue
  readonly chunks: Queue
  readonly bullmq: BullMQ
  /** Takes tasks of a queue. Its errors go to `onError`, without the password. */
  readonly work: (
    name: 'jobs' | 'chunks',
    processor: Processor,
    options: Omit<WorkerOptions, 'connection'>,
    onError: (error: Error) => void,
  ) => Worker
  readonly close: () => Promise<void>
}

export type Task = Job

/** How long a server may take to answer at first, in milliseconds. */
const patience = 10_000

/** What a queue is called on its server, where it may lie beside others. */
export const defaultPrefix = 'gradcam'

/**
 * Connects to the server of a queue.
 *
 * Throws ERR_TOOL_MISSING, and ERR_QUEUE where the server cannot be reached or refuses.
 */
export async function openQueue(address: QueueAddress, prefix: string = defaultPrefix): Promise<QueueServer> {
  const bullmq = await queuePackages(address)
  const { Queue: AnyQueue, Worker: AnyWorker } = classesOf(bullmq, address)
  const connection = connectionOf(address)
  const attempt = new Attempt()
  const queues = (['jobs', 'chunks'] as const).map((name) => {
    const queue = new AnyQueue(`${prefix}-${name}`, { connection })
    queue.on('error', (error: Error) => attempt.failed(error)) // the driver tries again by itself
    return queue
  })
  const close = async (): Promise<void> => {
    if (await isInTime(Promise.allSettled(queues.map((queue) => queue.close())), 2000)) return
    await isInTime(Promise.allSettled(queues.map((queue) => queue.disconnect())), 1000) // the server is away
  }
  try {
    await attempt.until(Promise.all(queues.map((queue) => queue.waitUntilReady())))
  } catch (error) {
    // Both: a driver that never connected goes on trying after either.
    const ends = queues.flatMap((queue) => [queue.close(), queue.disconnect()])
    await isInTime(Promise.allSettled(ends), 1000)
    throw unreachable(address, error as Error)
  }
  const [jobs, chunks] = queues as [Queue, Queue]
  return {
    address,
    jobs,
    chunks,
    bullmq,
    work: (name, processor, options, onError) => {
      const worker = new AnyWorker(`${prefix}-${name}`, processor, { ...options, connection })
      worker.on('error', (error: Error) => onError(new Error(withoutPassword(address, textOf(error)))))
      return worker
    },
    close,
  }
}

interface Classes {
  readonly Queue: new (name: string, options: QueueOptions) => Queue
  readonly Worker: new (name: string, processor: Processor, options: WorkerOptions) => Worker
}

/** The backends differ in their types alone: this room uses what they have in common. */
function classesOf(bullmq: BullMQ, { kind }: QueueAddress): Classes {
  return (kind === 'redis' ? bullmq : bullmq.withBackend(bullmq.createPostgresBackend)) as unknown as Classes
}

function connectionOf({ kind, url }: QueueAddress): QueueOptions['connection'] {
  if (kind === 'postgres') return { connectionString: url.href, migrate: true, max: 4 }
  const db = Number(url.pathname.slice(1) || url.searchParams.get('db') || 0)
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || 6379),
    ...(url.username !== '' && { username: plain(url.username) }),
    ...(url.password !== '' && { password: plain(url.password) }),
    ...(db > 0 && { db }),
    ...(url.protocol === 'rediss:' && { tls: {} }),
    maxRetriesPerRequest: null, // a server that restarts is waited for
    retryStrategy: (times: number) => Math.min(50 * times, 2000),
  }
}

/** What servers say to a wrong password, which no other attempt would change. */
const refusal = /WRONGPASS|NOAUTH|NOPERM|authentication failed|invalid password/i

/** The first connection: it waits for a server that is about to start, but not for ever. */
class Attempt {
  #last: Error | undefined
  #refuse: (error: Error) => void = () => {}

  failed(error: Error): void {
    this.#last = error
    if (refusal.test(textOf(error))) this.#refuse(error)
  }

  async until(ready: Promise<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      this.#refuse = reject
      timer = setTimeout(() => reject(this.#last ?? new Error(`no answer in ${patience / 1000} s`)), patience)
    })
    ready.catch(() => {}) // where it fails later, too
    try {
      await Promise.race([ready, late])
    } finally {
      clearTimeout(timer)
    }
  }
}

function unreachable(address: QueueAddress, cause: Error): GradCamError {
  const why = withoutPassword(address, textOf(cause)).replace(/\.$/, '')
  // The cause is left out: drivers attach the options of the connection to their errors.
  return new GradCamError('ERR_QUEUE', `The queue at ${address.shown} cannot be used: ${why}.`, {
    remedy: 'Check the address, and whether the server runs.',
    details: { queue: address.shown },
  })
}

/** An error of a system call may have its text in the errors that it is made of. */
function textOf(error: Error): string {
  if (error.message !== '') return error.message
  if (error instanceof AggregateError) return error.errors.map((one: Error) => one.message).join('; ')
  return error.name
}
