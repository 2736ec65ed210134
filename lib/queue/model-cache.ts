import { GradCamError } from '../base/errors.js'
import type { JobExplainer, JobPlan } from '../jobs/job.js'
import type { JobSpec } from '../jobs/job-spec.js'
import { digestOfFile } from '../jobs/local-file.js'
import type { Roots } from './roots.js'

interface Loaded {
  readonly explainer: JobExplainer
  readonly plan: JobPlan
  users: number
}

/** Jobs whose models stay loaded when no chunk of theirs is explained. */
const kept = 2

/** The explainers of a worker: a model is loaded once for all chunks of its job. */
export class ModelCache {
  readonly #loaded = new Map<string, Promise<Loaded>>()

  constructor(
    private readonly make: () => JobExplainer,
    private readonly roots: Roots,
    private readonly folder?: string,
  ) {}

  /**
   * An explainer for a job that is opened already; `close` gives it back.
   *
   * @param key the digest of the specification
   * @throws GradCamError ERR_QUEUE_REFUSED for a file outside the roots, and for one with another digest than that of the
   *   job; what the explainer throws
   */
  async use(spec: JobSpec, key: string): Promise<JobExplainer> {
    const opening = this.#loaded.get(key) ?? this.#open(spec)
    this.#loaded.delete(key)
    this.#loaded.set(key, opening) // the one used last comes last
    try {
      const loaded = await opening
      loaded.users++
      return {
        open: async () => loaded.plan,
        explain: (inputs, finish) => loaded.explainer.explain(inputs, finish),
        close: async () => {
          loaded.users--
          await this.#trim(kept)
        },
      }
    } catch (error) {
      if (this.#loaded.get(key) === opening) this.#loaded.delete(key)
      throw error
    }
  }

  async #open(spec: JobSpec): Promise<Loaded> {
    await checkFiles(spec, this.roots, this.folder)
    const explainer = this.make()
    const plan = await explainer.open(spec)
    // Again: another file may have come to that path while it was loaded.
    await checkFiles(spec, this.roots, this.folder).catch(async (error: unknown) => {
      await explainer.close()
      throw error
    })
    return { explainer, plan, users: 0 }
  }

  async #trim(most: number): Promise<void> {
    for (const [key, opening] of this.#loaded) {
      if (this.#loaded.size <= most) return
      const loaded = await opening.catch(() => null)
      if (!loaded || loaded.users > 0 || this.#loaded.get(key) !== opening) continue
      this.#loaded.delete(key)
      await loaded.explainer.close()
    }
  }

  /** Disposes every model. No chunk may be in progress. */
  close(): Promise<void> {
    return this.#trim(0)
  }
}

/**
 * Refuses a model, or another input of it, that the worker may not read or that is not the one of the job.
 *
 * @param folder for copies of objects, see `localFile`
 */
export async function checkFiles(spec: JobSpec, roots: Roots, folder?: string): Promise<void> {
  const others = (spec.inputs ?? []).filter((one) => typeof one === 'object' && one !== null)
  for (const { path, sha256 } of [spec.model, ...others]) {
    await roots.check(path, 'model')
    const found = await digestOfFile(path, 'model', folder)
    if (found !== sha256)
      throw new GradCamError('ERR_QUEUE_REFUSED', `The model '${path}' is not the file of the job.`, {
        remedy: 'Give all workers the file that the job was enqueued with.',
        details: { path, expected: sha256, found },
      })
  }
}
