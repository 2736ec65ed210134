import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Counter, Histogram, Registry } from 'prom-client'
import { GradCamError } from '../base/errors.js'
import type { JobLine } from '../jobs/job-line.js'
import type { QueueChunkEvent } from './chunk-event.js'
import type { Stage, WorkObserver } from './observer.js'
import type { Prometheus } from './packages.js'

const seconds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

/** What is looked at when the metrics are asked for. */
interface MetricSources {
  /** How many chunks wait in the queue. */
  readonly waiting: () => Promise<number>
  readonly tensorBytes: () => number
}

/** What a worker tells Prometheus, in a registry of its own. */
export class WorkerMetrics implements WorkObserver {
  readonly #registry: Registry
  readonly #images: Counter<'result'>
  readonly #errors: Counter<'code'>
  readonly #chunks: Counter<'state'>
  readonly #stages: Histogram<'stage'>
  readonly #chunkSeconds: Histogram
  readonly #wait: Histogram

  constructor(prometheus: Prometheus, { waiting, tensorBytes }: MetricSources) {
    const { Registry: OwnRegistry, Counter: OwnCounter, Histogram: OwnHistogram, Gauge } = prometheus
    this.#registry = new OwnRegistry()
    const registers = [this.#registry]
    this.#images = new OwnCounter({
      name: 'gradcam_worker_images_total',
      help: 'Inputs that this worker is done with, by result: explained or failed.',
      labelNames: ['result'],
      registers,
    })
    this.#errors = new OwnCounter({
      name: 'gradcam_worker_errors_total',
      help: "Inputs that failed, by the code of the error; 'other' for errors without a code.",
      labelNames: ['code'],
      registers,
    })
    this.#chunks = new OwnCounter({
      name: 'gradcam_worker_chunks_total',
      help: 'Chunks that this worker took, by what became of them: done, given back or dropped.',
      labelNames: ['state'],
      registers,
    })
    this.#stages = new OwnHistogram({
      name: 'gradcam_worker_stage_seconds',
      help:
        'Seconds by stage: explain, from when an image was taken until it was explained, with reading it and waiting for its batch; ' +
        'write, drawing and writing its files; record, noting that it is done; publish, for a whole chunk.',
      labelNames: ['stage'],
      buckets: seconds,
      registers,
    })
    this.#chunkSeconds = new OwnHistogram({
      name: 'gradcam_worker_chunk_seconds',
      help: 'From when a chunk was taken until this worker was done with it.',
      buckets: seconds,
      registers,
    })
    this.#wait = new OwnHistogram({
      name: 'gradcam_worker_queue_wait_seconds',
      help: 'How long a chunk was in the queue before this worker took it.',
      buckets: seconds,
      registers,
    })
    void new Gauge({
      name: 'gradcam_worker_tensor_bytes',
      help: 'Memory that tensors on the CPU hold, and that is kept for the next ones.',
      registers,
      collect(): void {
        this.set(tensorBytes())
      },
    })
    void new Gauge({
      name: 'gradcam_queue_waiting_chunks',
      help: 'Chunks of all jobs that wait in the queue; NaN while its server is away.',
      registers,
      async collect(): Promise<void> {
        this.set(await waiting().catch(() => NaN))
      },
    })
    prometheus.collectDefaultMetrics({ register: this.#registry })
  }

  waited(time: number): void {
    this.#wait.observe(time)
  }

  line(line: JobLine): void {
    const failed = 'error' in line
    this.#images.inc({ result: failed ? 'failed' : 'explained' })
    if (failed) this.#errors.inc({ code: line.error.code ?? 'other' })
    else this.stage('explain', line.milliseconds / 1000)
  }

  stage(stage: Stage, time: number): void {
    this.#stages.observe({ stage }, time)
  }

  chunk({ state, milliseconds }: QueueChunkEvent): void {
    this.#chunks.inc({ state })
    this.#chunkSeconds.observe(milliseconds / 1000)
  }

  /**
   * Offers them at /metrics.
   *
   * @throws GradCamError ERR_INVALID_ARGUMENT where the address cannot be taken
   */
  async serve(host: string, port: number): Promise<{ readonly port: number; readonly close: () => void }> {
    const server = createServer((request, response) => {
      const isMetrics = request.url?.split('?')[0] === '/metrics'
      if (!isMetrics || request.method !== 'GET') {
        response.writeHead(isMetrics ? 405 : 404).end()
        return
      }
      void this.#registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': this.#registry.contentType }).end(text),
        () => response.writeHead(500).end(),
      )
    })
    await listening(server, host, port)
    server.unref()
    return {
      port: (server.address() as AddressInfo).port,
      close: () => {
        server.close()
        server.closeAllConnections()
      },
    }
  }
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new GradCamError('ERR_INVALID_ARGUMENT', `Metrics cannot be offered at ${host}:${port}: ${cause.message}.`, {
          remedy: 'Choose another port or host.',
          cause,
        }),
      ),
    )
    server.listen(port, host, resolve)
  })
}
