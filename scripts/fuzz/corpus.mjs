// Files that were once found to be handled wrongly, or are likely to be: every run of `npm run fuzz` begins with them.
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), 'corpus')

/** The ids of the files of a kind. */
export function corpusIds(/** @type {string} */ kind) {
  try {
    return readdirSync(join(root, kind))
      .sort()
      .map((name) => `corpus:${name}`)
  } catch {
    return []
  }
}

/** The path of the file that an id names; null for the id of a seed. */
export function corpusOf(/** @type {string} */ kind, /** @type {string} */ id) {
  return id.startsWith('corpus:') ? join(root, kind, id.slice('corpus:'.length)) : null
}
