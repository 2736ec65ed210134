import { existsSync, lstatSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describeWait, withLock, type LockWait } from '../base/lock.js'
import { addonsFolder } from '../addon/taken.js'
import { cachedAddons, removeCachedAddon } from './addon-cache.js'
import { cachedObjects } from '../storage/object-file.js'
import { cacheFolder, precisionFolder } from '../base/cache-folder.js'
import { cleanPartials, listFolder, removeWhole } from './cache.js'

/** One thing that this package keeps in the user's cache folder. */
export interface CacheEntry {
  readonly kind: 'PyTorch' | 'addon' | 'model' | 'precision'
  /** Its folder. */
  readonly path: string
  /** In bytes, of all its files. */
  readonly bytes: number
  /** When it was last put there or, an addon or a model, used. */
  readonly used: Date
}

/** How {@link cleanCache} cleans. */
export interface CleanOptions {
  /** The installs of PyTorch too (default false). */
  readonly all?: boolean
  /** Called with each line for the user. */
  readonly say?: (line: string) => void
}

/**
 * What lies in the cache folder: installs of PyTorch, addons that were built, copies of models of a storage, and what `precision:
 * 'auto'` measured.
 */
export function listCache(): CacheEntry[] {
  const cache = cacheFolder()
  const installs = listFolder(cache).filter((name) => name.startsWith('pytorch-'))
  return [
    ...installs.map((name) => entry('PyTorch', join(cache, name))),
    ...cachedAddons().map((key) => entry('addon', join(addonsFolder(), key))),
    ...cachedObjects().map((path) => entry('model', path)),
    ...(existsSync(precisionFolder()) ? [entry('precision', precisionFolder())] : []),
  ]
}

/**
 * Removes the built addons, copies of models, measurements, and what interrupted installs left, with `all` the installs of PyTorch too. A running process
 * keeps what it has loaded.
 *
 * @returns what was removed
 * @throws GradCamError ERR_LOCK_FAILED
 */
export async function cleanCache({ all = false, say = () => {} }: CleanOptions = {}): Promise<CacheEntry[]> {
  const cache = cacheFolder()
  const removed = listCache().filter(({ kind }) => all || kind !== 'PyTorch')
  if (listFolder(cache).length === 0) return []
  const waiting = (wait: LockWait): void => say(describeWait(wait, 'is installing PyTorch'))
  await withLock(join(cache, '.install-lock'), waiting, async () => {
    cleanPartials(cache)
    cleanPartials(addonsFolder())
    for (const key of cachedAddons()) removeCachedAddon(key)
    for (const { kind, path } of removed) if (kind !== 'addon') removeWhole(path)
  })
  return removed
}

function entry(kind: CacheEntry['kind'], path: string): CacheEntry {
  return { kind, path, bytes: sizeOf(path), used: statSync(path).mtime }
}

/** Without what links lead to: a taken addon has one to its LibTorch. */
function sizeOf(folder: string): number {
  let bytes = 0
  for (const found of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, found.name)
    if (found.isDirectory()) bytes += sizeOf(path)
    else if (found.isFile()) bytes += lstatSync(path, { throwIfNoEntry: false })?.size ?? 0
  }
  return bytes
}
