import { realpath } from 'node:fs/promises'
import { isAbsolute, posix, relative, resolve } from 'node:path'
import { GradCamError } from '../base/errors.js'
import { leadsOut } from '../jobs/entry-id.js'
import { folderUrl, isInFolder, isObjectUrl } from '../storage/object-url.js'

/**
 * The folders that a worker may use, whatever a queue says: on disks, where links are followed first, and one that leads out is
 * refused; and in storages.
 */
export class Roots {
  private constructor(
    private readonly folders: readonly string[],
    private readonly what: string,
  ) {}

  /** @param what the option that names them, for errors */
  static async open(folders: readonly string[], what: string): Promise<Roots> {
    const open = async (folder: string): Promise<string> =>
      isObjectUrl(folder) ? folderUrl(folder, what) : await realpath(folder)
    return new Roots(await Promise.all(folders.map(open)), what)
  }

  /**
   * @returns the path without links; of what does not exist, and of objects, the path as it is
   * @throws GradCamError ERR_QUEUE_REFUSED for a path that is relative or lies elsewhere
   */
  async check(path: string, name: string): Promise<string> {
    const found = isObjectUrl(path) ? this.#object(path) : await this.#file(path)
    if (found !== null) return found
    throw new GradCamError('ERR_QUEUE_REFUSED', `The ${name} '${path}' lies outside the ${this.what} of this worker.`, {
      remedy: `Start the worker with that folder among its ${this.what}.`,
      details: { path },
    })
  }

  async #file(path: string): Promise<string | null> {
    const real = isAbsolute(path) ? await realpath(path).catch(() => resolve(path)) : null
    const isBelow = (folder: string): boolean => real !== null && !leadsOut(relative(folder, real))
    return this.folders.some((folder) => !isObjectUrl(folder) && isBelow(folder)) ? real : null
  }

  /** A key with '..' would be another object's for some storages. */
  #object(path: string): string | null {
    const key = path.slice('s3:/'.length)
    if (posix.normalize(key) !== key) return null
    return this.folders.some((folder) => isObjectUrl(folder) && isInFolder(path, folder)) ? path : null
  }
}
