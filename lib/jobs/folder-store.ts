import { lstat, rm, rmdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { describeWait, nameHolder, withLock, type LockWait } from '../base/lock.js'
import { isLocal } from '../base/lock-file.js'
import { makeFolder } from '../base/make-folder.js'
import { openToRead, writeWhole } from '../base/write-file.js'
import { queueFolder } from './file-names.js'
import { unwritable } from './file-writer.js'
import type { JobClaim, JobStore } from './job.js'
import type { JobLine } from './job-line.js'
import { jobExists, jobSpecText, parseJobSpec, queueIsAtWork } from './job-file.js'
import { checkSameJob, type JobSpec } from './job-spec.js'
import { hasLines, ManifestWriter, manifestPath, pruneManifest, type Pruned } from './manifest.js'

/** Whether {@link FolderStore} goes on with a job that the folder holds. */
export interface FolderStoreOptions {
  /** Whether a job that the folder holds is resumed. False by default: a folder with results is refused. */
  resume?: boolean
  /** Whether inputs that failed before are tried again. False by default. */
  retryFailed?: boolean
  /**
   * Whether every result and every input of a job that is resumed is read and compared with its digest in the manifest: one
   * that has changed is explained again. Otherwise sizes and times are compared, and files are read where a time differs.
   * False by default.
   */
  verify?: boolean
  /** Whether the job is that of a queue, which several processes work on: see `enqueueJob`. False by default. */
  queue?: boolean
  /** Called with a message while it is not known whether a process on another host, which held the lock, is alive. */
  onWait?: ((message: string) => void) | undefined
}

/**
 * Keeps a job in the folder of its results: its specification in job.json, a line for each input in manifest.jsonl, and a
 * lock that keeps other processes away. Whatever dies at whatever moment, the folder holds a job that can be resumed.
 */
export class FolderStore implements JobStore {
  #manifest: ManifestWriter | null = null
  /** Whether the folder held no job when it was claimed. */
  #isNew = false
  /** The folders that were made for the job. */
  #made: readonly string[] = []
  #unlock: () => Promise<void> = async () => {}

  /** @param folder is made where it does not exist */
  constructor(
    private readonly folder: string,
    private readonly options: FolderStoreOptions = {},
  ) {
    expect.path('folder', folder)
    const { resume = false, retryFailed = false, verify = false, queue = false, onWait } = expect.options(options)
    expect.boolean('queue', queue)
    expect.boolean('resume', resume)
    expect.boolean('retryFailed', retryFailed)
    expect.boolean('verify', verify)
    if (onWait !== undefined) expect.function('onWait', onWait)
  }

  /** @throws GradCamError ERR_JOB_EXISTS, ERR_JOB_CHANGED, ERR_JOB_VERSION, ERR_FILE_UNREADABLE for a damaged job.json */
  async check(spec: JobSpec): Promise<void> {
    await this.#jobBefore(expect.options(spec, 'spec'))
  }

  /**
   * @throws GradCamError ERR_LOCKED where another process is at work on the folder, ERR_LOCK_FAILED, ERR_IMAGE_WRITE,
   *   ERR_JOB_EXISTS, ERR_JOB_CHANGED, ERR_JOB_VERSION, ERR_FILE_UNREADABLE for a damaged job.json
   */
  async claim(spec: JobSpec): Promise<JobClaim> {
    expect.options(spec, 'spec')
    const { lost, unlock } = await this.#lockFolder()
    this.#unlock = unlock
    try {
      return { ...(await this.#start(spec)), lost }
    } catch (error) {
      await this.discard()
      throw error
    }
  }

  async #start(spec: JobSpec): Promise<Pruned> {
    const { folder, options } = this
    const { before, isNew } = await this.#jobBefore(spec)
    this.#isNew = isNew
    if (!before) await writeJobSpec(folder, spec)
    const keepFailed = !options.retryFailed
    const pruned = await pruneManifest(folder, { keepFailed, verify: options.verify ?? false })
    this.#manifest = await ManifestWriter.open(folder).catch((error: NodeJS.ErrnoException) => this.#refuse(error))
    return pruned
  }

  /** The job that the folder holds, which may be resumed with this specification; and whether it holds nothing of a job. */
  async #jobBefore(spec: JobSpec): Promise<JobBefore> {
    const { folder, options } = this
    // A job without a line has no results that those of another job could be mixed with.
    const queued = await isQueued(folder)
    if (queued && !options.queue) throw queueIsAtWork(folder)
    const hasResults = await hasLines(folder)
    const before = queued || hasResults ? await readFolderSpec(folder) : null
    if (before && !options.resume) throw jobExists(folder)
    if (before) checkSameJob(before, spec)
    return { before, isNew: !queued && !hasResults }
  }

  async record(line: JobLine): Promise<void> {
    await this.#manifest?.add(line).catch((error: NodeJS.ErrnoException) => this.#refuse(error))
  }

  async close(): Promise<void> {
    try {
      await this.#manifest?.close().catch((error: NodeJS.ErrnoException) => this.#refuse(error))
    } finally {
      this.#manifest = null
      await this.#unlock()
    }
  }

  /** Removes job.json, the manifest and the folders that {@link claim} made, unless the folder held a job before. */
  async discard(): Promise<void> {
    if (!this.#isNew) return await this.close()
    try {
      await this.#manifest?.close()
      for (const name of [manifestPath(this.folder), jobPath(this.folder)]) await rm(name, { force: true })
      // Where hosts may not see each other's locks the file has to stay: see withLock.
      if (isLocal(this.#lockFile)) await rm(this.#lockFile, { force: true })
    } finally {
      this.#manifest = null
      await this.#unlock()
      await this.#removeFolders()
    }
  }

  async #removeFolders(): Promise<void> {
    for (const made of this.#made.toReversed()) await rmdir(made).catch(() => {}) // others may have put something there
    this.#made = []
  }

  #refuse(error: NodeJS.ErrnoException): never {
    throw unwritable(manifestPath(resolve(this.folder)), error)
  }

  get #lockFile(): string {
    return resolve(this.folder, '.gradcam-lock')
  }

  /** Makes the folder and takes its lock, until `unlock` is called. */
  async #lockFolder(): Promise<Locked> {
    for (let attempt = 1; ; attempt++) {
      this.#made = await makeFolder(this.folder)
      try {
        return await this.#lock()
      } catch (error) {
        // A job that could not begin may just have removed the folder.
        const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException
        if (code === 'ENOENT' && attempt < mostAttempts) continue
        await this.#removeFolders()
        throw error
      }
    }
  }

  #lock(): Promise<Locked> {
    const file = this.#lockFile
    return new Promise((taken, refused) => {
      const held = withLock(
        file,
        (wait) => this.#onWait(wait),
        (lost) => new Promise<void>((release) => taken({ lost, unlock: async () => (release(), held) })),
      )
      held.catch((error: unknown) =>
        refused(error instanceof GradCamError ? error : unwritable(file, error as NodeJS.ErrnoException)),
      )
    })
  }

  /** Two jobs in one folder would each write over the other's manifest. A holder that may be dead is waited for. */
  #onWait(wait: LockWait): void {
    const doing = `is at work on '${this.folder}'`
    if (wait.kind === 'watched') this.options.onWait?.(describeWait(wait, doing))
    else
      throw new GradCamError(
        'ERR_LOCKED',
        `${nameHolder(wait)} ${doing} and holds the lock '${wait.file}'. Wait until it ends, or end it and resume the job.`,
      )
  }
}

/** What was there when a job was claimed. */
export interface JobBefore {
  readonly before: JobSpec | null
  readonly isNew: boolean
}

interface Locked {
  readonly lost: AbortSignal
  readonly unlock: () => Promise<void>
}

const mostAttempts = 5

/** Whether a job of a queue is at work on a folder. */
function isQueued(folder: string): Promise<boolean> {
  return lstat(join(folder, queueFolder)).then(
    () => true,
    () => false,
  )
}

/** The specification of the job in a folder on a disk: see `readJobSpec`, which is exported. */
export async function readFolderSpec(folder: string): Promise<JobSpec | null> {
  const path = jobPath(expect.path('folder', folder))
  const text = await readOwn(path)
  if (text === null) return null
  return parseJobSpec(text, path)
}

/** Null where there is no such file. */
async function readOwn(path: string): Promise<string | null> {
  try {
    await using file = await openToRead(path)
    return await file.readFile('utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return null
    const remedy = 'Change its permissions, or choose another folder.'
    throw new GradCamError('ERR_FILE_UNREADABLE', `'${path}' cannot be read (${code ?? message}).`, {
      remedy,
      cause: error,
    })
  }
}

function jobPath(folder: string): string {
  return join(folder, 'job.json')
}

async function writeJobSpec(folder: string, spec: JobSpec): Promise<void> {
  const path = jobPath(folder)
  await writeWhole(path, jobSpecText(spec), { partial: `${path}.partial` }).catch((error: NodeJS.ErrnoException) => {
    throw unwritable(path, error)
  })
}
