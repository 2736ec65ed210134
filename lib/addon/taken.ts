import { spawnSync } from 'node:child_process'
import { lstatSync, mkdirSync, statSync, utimesSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheFolder } from '../base/cache-folder.js'
import { packageRoot } from '../base/paths.js'
import { hashSources, hashText, platform } from './build-info.js'

/** What the program of {@link takeAddon} answers. */
export interface Taken {
  /** The folder with the addon and its record; null where none fits. */
  readonly folder: string | null
  /** Why none fits, as a part of a sentence; empty where one does. */
  readonly why: string
  /** What to run instead, where it is known. */
  readonly instead: string | null
}

/** Where this user's addons lie, for all projects on the machine. */
export const addonsFolder = (cache: string = cacheFolder()): string => join(cache, 'addons')

/**
 * The folders in which an addon may lie that was taken for this package: in the user's cache, or where that cannot be written, in
 * one of this user's own among the temporary files. Other sources, another LIBTORCH and another place of the package have another.
 */
export function takenFolders(): string[] {
  const named = process.env['LIBTORCH'] ? resolve(process.env['LIBTORCH']) : ''
  const key = hashText('taken', platform, packageRoot, named, hashSources())
  return [cacheFolder(), ownTemporaryFolder()]
    .filter((cache) => cache !== null)
    .map((cache) => join(addonsFolder(cache), key))
}

/**
 * A folder among the temporary files that is this user's alone; null where another user has one of that name, for what lies in it
 * is loaded as code.
 */
function ownTemporaryFolder(): string | null {
  const { uid, username } = userInfo()
  const folder = join(tmpdir(), `gradcam-${uid < 0 ? username : uid}`)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const found = lstatSync(folder)
    const own = process.platform === 'win32' || (found.uid === uid && (found.mode & 0o022) === 0)
    return found.isDirectory() && own ? folder : null
  } catch {
    return null
  }
}

/**
 * Has a program of this package find the LibTorch of this machine and an addon for it: the one that npm installed for this
 * platform, or one that any project of this user built. It downloads and compiles nothing. In a process of its own: this call
 * cannot wait for promises, and an addon that crashes must not end the program.
 */
export function takeAddon(): Taken {
  const script = fileURLToPath(new URL('../setup/take-child.js', import.meta.url))
  const { stdout, error } = spawnSync(process.execPath, [script], {
    encoding: 'utf8',
    timeout: 120_000,
    windowsHide: true,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, ELECTRON_RUN_AS_NODE: '1' },
  })
  try {
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Taken
  } catch {
    const why = `the search for one ended early${error ? ` (${error.message})` : ''}`
    return { folder: null, why, instead: null }
  }
}

/** Notes that a folder of the cache is used: those that were not for longest are removed first. */
export function touch(folder: string): void {
  try {
    const now = new Date()
    if (now.getTime() - statSync(folder).mtimeMs > 3_600_000) utimesSync(folder, now, now)
  } catch {
    // A read-only cache still serves.
  }
}
