import { spawnSync } from 'node:child_process'
import { lstatSync, mkdirSync, statSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheFolder } from '../base/cache-folder.js'
import { packageRoot, program } from '../base/paths.js'
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
 * one of this user's own among the temporary files. Other sources, another LIBTORCH and another folder of the package have another.
 */
export function takenFolders(): string[] {
  const named = process.env['LIBTORCH'] ? resolve(process.env['LIBTORCH']) : ''
  const key = hashText('taken', platform, packageRoot, named, hashSources())
  return [cacheFolder(), temporaryFolder()].filter(isOwn).map((cache) => join(addonsFolder(cache), key))
}

/** Makes one of {@link takenFolders}. Throws the errors of the system, and where another user made the folder meanwhile. */
export function makeTakenFolder(folder: string): void {
  const temporary = temporaryFolder()
  if (folder.startsWith(temporary)) {
    mkdirSync(temporary, { recursive: true, mode: 0o700 })
    if (!isOwn(temporary)) throw new Error(`${temporary} belongs to another user`)
  }
  mkdirSync(folder, { recursive: true })
}

/** Not by os.userInfo(), which fails in containers whose user has no entry in /etc/passwd. */
function temporaryFolder(): string {
  return join(tmpdir(), `gradcam-${process.getuid?.() ?? process.env['USERNAME'] ?? 'user'}`)
}

/**
 * Whether a cache folder may be used: what lies in it is loaded as code, and the names of temporary files are there for anybody to
 * take. The one that the user chose is the user's affair.
 */
function isOwn(cache: string): boolean {
  if (cache !== temporaryFolder() || process.platform === 'win32') return true
  const found = lstatSync(cache, { throwIfNoEntry: false })
  return !found || (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0)
}

/**
 * Has a program of this package find the LibTorch of this machine and an addon for it: the one that npm installed for this
 * platform, or one that any project of this user built. It downloads and compiles nothing. In a process of its own: this call
 * cannot wait for promises, and an addon that crashes must not end the program.
 */
export function takeAddon(): Taken {
  const script = fileURLToPath(program('setup/take-child.js'))
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
