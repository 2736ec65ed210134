import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { join } from 'node:path'
import { isAlive } from '../../base/lock.js'

const partialPrefix = '.partial-'
const dayMs = 24 * 60 * 60 * 1000

/**
 * This package's folder in the user's cache: what `GRADCAM_CACHE` names, else the platform's usual folder
 * ($XDG_CACHE_HOME or ~/.cache, ~/Library/Caches, %LOCALAPPDATA%) with /gradcam after it.
 */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env['GRADCAM_CACHE']) return env['GRADCAM_CACHE']
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'gradcam')
  if (process.platform === 'win32') return join(env['LOCALAPPDATA'] || join(homedir(), 'AppData', 'Local'), 'gradcam')
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'gradcam')
}

/**
 * A new folder to fill. Its name identifies the process that fills it, so that it counts as a leftover once that process has
 * ended. It never has the name of a finished one: only `keepPartial` gives it that.
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

/** Removes partial folders of interrupted processes: those of this host that have ended, and any older than a day. */
export function cleanPartials(cache: string): string[] {
  const leftovers = listFolder(cache).filter((name) => name.startsWith(partialPrefix) && isLeftover(cache, name))
  for (const name of leftovers) rmSync(join(cache, name), { recursive: true, force: true })
  return leftovers
}

/** The names in a folder; none where there is no such folder. */
export function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function isLeftover(cache: string, name: string): boolean {
  const [, host, pid] = name.match(/^\.partial-(.*)-(\d+)-[0-9a-z]+$/) ?? []
  if (host === hostname() && pid !== undefined)
    return Number(pid) === process.pid || !isAlive({ pid: Number(pid), host })
  const stat = statSync(join(cache, name), { throwIfNoEntry: false })
  return stat !== undefined && Date.now() - stat.mtimeMs > dayMs
}
