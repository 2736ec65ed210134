import { createRequire } from 'node:module'
import { GradCamError } from './errors.js'

interface FileLocks {
  tryLock(fd: number, offset?: number, length?: number): boolean
}

const require = createRequire(import.meta.url)
let fileLocks: FileLocks | undefined

/** POSIX lets fcntl answer either of the first two where another one holds the lock. */
const heldElsewhere = new Set(['EAGAIN', 'EACCES', 'EINTR'])
const unsupported = new Set(['ENOLCK', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL'])

/**
 * Takes the kernel's exclusive lock on an open file: fcntl's open file description lock on Linux, flock on macOS. False
 * where another open file has it, be it in this process, another thread or another process. The kernel releases it when
 * the file is closed or its process ends, however it ends.
 *
 * Throws ERR_LOCK_FAILED where there are no such locks.
 */
export function tryKernelLock(fd: number, file: string): boolean {
  const locks = (fileLocks ??= load())
  try {
    // One byte far after the text: some servers refuse to read what is locked. macOS can only lock whole files.
    return process.platform === 'darwin' ? locks.tryLock(fd) : locks.tryLock(fd, 2 ** 30, 1)
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException
    if (heldElsewhere.has(code)) return false
    const why = unsupported.has(code)
      ? `its file system has no file locks (${code}). Use a folder on another file system, or mount this one with locks`
      : message
    throw new GradCamError('ERR_LOCK_FAILED', `'${file}' cannot be locked: ${why}.`, { cause })
  }
}

/** On first use: a missing binary is an error of the command that requires locks, not of every import. */
function load(): FileLocks {
  try {
    return require('fs-native-extensions') as FileLocks
  } catch (cause) {
    throw new GradCamError(
      'ERR_LOCK_FAILED',
      `The npm package fs-native-extensions, which locks files, cannot be loaded on ${process.platform}-${process.arch}: ${(cause as Error).message.split('\n')[0]}. Install this package's dependencies again.`,
      { cause },
    )
  }
}
