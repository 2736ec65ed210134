import { realpath } from 'node:fs/promises'
import { isAbsolute, relative, resolve } from 'node:path'
import { GradCamError } from '../base/errors.js'
import { leadsOut } from '../jobs/entry-id.js'

/** The folders that a worker may use, whatever a queue says. Links are followed first: one that leads out is refused. */
export class Roots {
  private constructor(
    private readonly folders: readonly string[],
    private readonly what: string,
  ) {}

  /** @param what the option that names them, for errors */
  static async open(folders: readonly string[], what: string): Promise<Roots> {
    return new Roots(await Promise.all(folders.map((folder) => realpath(folder))), what)
  }

  /**
   * @returns the path without links; of what does not exist, the path as it is
   * @throws GradCamError ERR_QUEUE_REFUSED for a path that is relative or lies elsewhere
   */
  async check(path: string, name: string): Promise<string> {
    const real = isAbsolute(path) ? await realpath(path).catch(() => resolve(path)) : null
    if (real !== null && this.folders.some((folder) => !leadsOut(relative(folder, real)))) return real
    throw new GradCamError('ERR_QUEUE_REFUSED', `The ${name} '${path}' lies outside the ${this.what} of this worker.`, {
      remedy: `Start the worker with that folder among its ${this.what}.`,
      details: { path },
    })
  }
}
