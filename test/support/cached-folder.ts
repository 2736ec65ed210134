import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { describeWait, withLock, type LockWait } from '../../lib/base/lock.js'
import { packageRoot } from '../../lib/base/paths.js'

/** What tests make and may be made again at any time: `npm ci` empties it. */
const cache = join(packageRoot, 'node_modules', '.cache', 'libtorch-gradcam-tests')

/**
 * A folder that depends on `key` alone: made once by whichever test process comes first, whole or not at all. Folders
 * of the same name and another key are removed once no test has used them for a day: checkouts that share their packages
 * may be at different commits.
 */
export async function cachedFolder(
  name: string,
  key: readonly string[],
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 16)
  const folder = join(cache, `${name}-${hash}`)
  if (existsSync(folder)) {
    utimesSync(folder, new Date(), new Date())
    return folder
  }
  mkdirSync(cache, { recursive: true })
  const outdated = new RegExp(`^(${name}-[0-9a-f]{16}|\\.${name}-[0-9]+)$`)
  await withLock(join(cache, `.${name}.lock`), reportLongWait(`is making ${name}`), async () => {
    if (existsSync(folder)) return
    for (const old of readdirSync(cache)) {
      if (outdated.test(old) && isUnused(join(cache, old))) rmSync(join(cache, old), { recursive: true, force: true })
    }
    const partial = join(cache, `.${name}-${process.pid}`)
    try {
      await make(partial)
      renameSync(partial, folder)
    } finally {
      rmSync(partial, { recursive: true, force: true })
    }
  })
  return folder
}

function isUnused(folder: string): boolean {
  const used = statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0
  return Date.now() - used > 24 * 3600 * 1000
}

/** Tests wait for each other's folders all the time: only what takes longer than a minute is worth a line. */
function reportLongWait(doing: string): (wait: LockWait) => void {
  const began = performance.now()
  return (wait) => {
    if (performance.now() - began > 50_000) process.stderr.write(`${describeWait(wait, doing)}\n`)
  }
}
