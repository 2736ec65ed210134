import { copyFileSync, existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { addonsFolder, touch } from '../addon/taken.js'
import { keepPartial, listFolder, makePartial, removeWhole } from './cache.js'

/** So many addons are kept, the last ones that were used: 2 MB each. */
const kept = 16
const file = 'gradcam.node'

/**
 * The addon that was built from these sources, with these settings and this LibTorch, by any project of this user; null
 * where there is none.
 *
 * @param key a hash of all that the addon depends on
 */
export function findCachedAddon(key: string): string | null {
  const found = join(addonsFolder(), key, file)
  if (!existsSync(found)) return null
  touch(join(addonsFolder(), key))
  return found
}

/**
 * Keeps an addon for other projects, and removes those that were not used for longest. A cache that cannot be written is
 * not an error: the addon is compiled again next time.
 */
export function cacheAddon(key: string, addon: string): void {
  const folder = addonsFolder()
  try {
    const partial = makePartial(folder)
    copyFileSync(addon, join(partial, file))
    keepPartial(partial, key, folder)
    prune()
  } catch {
    // Without a cache it works as well.
  }
}

/** Removes what was not used for longest. */
export function prune(): void {
  for (const old of cachedAddons().slice(kept)) removeCachedAddon(old)
}

/** The keys of the addons that are kept, the one used last first. */
export function cachedAddons(): string[] {
  const folder = addonsFolder()
  const used = (key: string): number => statSync(join(folder, key), { throwIfNoEntry: false })?.mtimeMs ?? 0
  return listFolder(folder)
    .filter((key) => existsSync(join(folder, key, file)))
    .map((key) => ({ key, used: used(key) }))
    .sort((a, b) => b.used - a.used)
    .map(({ key }) => key)
}

/** Removes one. */
export const removeCachedAddon = (key: string): void => removeWhole(join(addonsFolder(), key))
