import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'

const partialPrefix = '.partial-'

/**
 * A new folder to fill, for the holder of the cache's lock. Its name tells who fills it and is never that of a finished
 * one: only `keepPartial` gives it that.
 */
export function makePartial(cache: string): string {
  const folder = join(cache, `${partialPrefix}${hostname()}-${process.pid}-${Date.now().toString(36)}`)
  mkdirSync(folder, { recursive: true })
  return folder
}

/** Gives a filled folder its name, in one step. Where another process was first, its folder stays and ours goes. */
export function keepPartial(partial: string, name: string, cache: string): string {
  const folder = join(cache, name)
  try {
    renameSync(partial, folder)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'EPERM') throw error
    rmSync(partial, { recursive: true, force: true })
  }
  return folder
}

/** Removes what interrupted processes left half filled. For the holder of the cache's lock: nobody else fills any. */
export function cleanPartials(cache: string): string[] {
  const leftovers = listFolder(cache).filter((name) => name.startsWith(partialPrefix))
  for (const name of leftovers) rmSync(join(cache, name), { recursive: true, force: true })
  return leftovers
}

/** Removes a folder of the cache. Its name goes first: it is there whole or not at all, and what is left counts as partial. */
export function removeWhole(path: string): void {
  const gone = join(dirname(path), `${partialPrefix}${basename(path)}`)
  renameSync(path, gone)
  rmSync(gone, { recursive: true, force: true })
}

/** The names in a folder; none where there is no such folder. */
export function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
