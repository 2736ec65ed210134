import type { Counter, Histogram, Registry } from 'prom-client'
import type { Admission } from './admission.js'
import type { BatchListener } from './lane.js'
import type { ServerPackages } from './packages.js'

/** What /metrics tells Prometheus, in a registry of the server's own. */
export class ServerMetrics {
  readonly #registry: Registry
  readonly #requests: Counter<'route' | 'status'>
  readonly #seconds: Histogram<'route'>
  readonly #images: Histogram<'model'>
  readonly #batchSeconds: Histogram<'model'>

  constructor({ prometheus }: ServerPackages, admission: Admission, processMetrics: boolean) {
    const { Registry: OwnRegistry, Counter: OwnCounter, Histogram: OwnHistogram, Gauge } = prometheus
    this.#registry = new OwnRegistry()
    const registers = [this.#registry]
    this.#requests = new OwnCounter({
      name: 'gradcam_requests_total',
      help: 'Requests that were answered, by route and status; 499 where the client went away before.',
      labelNames: ['route', 'status'],
      registers,
    })
    this.#seconds = new OwnHistogram({
      name: 'gradcam_request_seconds',
      help: 'From the headers of a request to the end of its answer.',
      labelNames: ['route'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    })
    this.#images = new OwnHistogram({
      name: 'gradcam_batch_images',
      help: 'Images in a batch.',
      labelNames: ['model'],
      buckets: [1, 2, 4, 8, 16, 32, 64],
      registers,
    })
    this.#batchSeconds = new OwnHistogram({
      name: 'gradcam_batch_seconds',
      help: 'The time that explaining a batch took.',
      labelNames: ['model'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    })
    void new Gauge({
      name: 'gradcam_requests_in_progress',
      help: 'Requests to explain an image that were admitted and have no answer yet.',
      registers,
      collect(): void {
        this.set(admission.inProgress)
      },
    })
    if (processMetrics) prometheus.collectDefaultMetrics({ register: this.#registry })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }

  answered(route: string, status: number, seconds: number): void {
    this.#requests.inc({ route, status })
    this.#seconds.observe({ route }, seconds)
  }

  batches(model: string): BatchListener {
    return (images, seconds) => {
      this.#images.observe({ model }, images)
      this.#batchSeconds.observe({ model }, seconds)
    }
  }
}
