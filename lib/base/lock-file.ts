import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  futimesSync,
  openSync,
  readFileSync,
  readSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { GradCamError } from './errors.js'

/** File systems of which no other host can have a part: ext2 to 4, XFS, Btrfs, tmpfs, ramfs, overlay, ZFS, F2FS, bcachefs. */
const localTypes = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x858458f6, 0x794c7630, 0x2fc12fc1, 0xf2f52010, 0xca451a4e,
])

/** Whether a file lies where only this kernel reaches it; null where the system does not tell (macOS). */
export function isLocal(file: string): boolean | null {
  if (process.platform !== 'linux') return null
  try {
    return localTypes.has(statfsSync(dirname(file)).type)
  } catch {
    return false
  }
}

/** An open lock file. Its text tells others who holds the lock; it is not what keeps them out. */
export class LockFile {
  private constructor(
    readonly path: string,
    readonly fd: number,
  ) {}

  static open(path: string): LockFile {
    const file = new LockFile(path, openOrMake(path))
    if (fstatSync(file.fd).isFile()) return file
    file.close()
    throw new GradCamError('ERR_LOCK_FAILED', `'${path}' is not a regular file, so it cannot be a lock. Remove it.`)
  }

  read(): string {
    const buffer = Buffer.alloc(1024)
    return buffer.toString('utf8', 0, readSync(this.fd, buffer, 0, buffer.length, 0))
  }

  /** Replaces the text. `fsync` brings it to a server, where other hosts see it. */
  write(text: string, fsync: boolean): void {
    const bytes = Buffer.from(text)
    writeSync(this.fd, bytes, 0, bytes.length, 0)
    ftruncateSync(this.fd, bytes.length)
    if (fsync) fsyncSync(this.fd)
  }

  clear(): void {
    ftruncateSync(this.fd, 0)
  }

  touch(): void {
    const now = new Date()
    futimesSync(this.fd, now, now)
  }

  /** Whether the path still leads to this file: it may have been removed, and made again by another process. */
  isInPlace(): boolean {
    const [mine, there] = [fstatSync(this.fd), statSync(this.path, { throwIfNoEntry: false })]
    return there !== undefined && mine.ino === there.ino && mine.dev === there.dev
  }

  close(): void {
    closeSync(this.fd)
  }
}

/** The text at a path now, and what else changes when its holder renews it; null where there is no file. */
export function look(path: string): { readonly text: string; readonly stamp: string } | null {
  try {
    // Opened again each time: that is when a client of a network file system asks its server for news.
    const text = readFileSync(path, 'utf8')
    const { mtimeMs, size } = statSync(path)
    return { text, stamp: `${mtimeMs} ${size} ${text}` }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function openOrMake(path: string): number {
  const flags = constants.O_RDWR | constants.O_NOFOLLOW
  for (;;) {
    try {
      return openSync(path, flags)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    try {
      const fd = openSync(path, flags | constants.O_CREAT | constants.O_EXCL, 0o600)
      shareAsFolder(fd, path)
      return fd
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

/** The file stays, so whoever may make files in its folder must be able to open it, another user too. */
function shareAsFolder(fd: number, path: string): void {
  try {
    fchmodSync(fd, 0o600 | (statSync(dirname(path)).mode & 0o666))
  } catch {
    // A file system without permissions.
  }
}
