import { randomUUID } from 'node:crypto'
import { expect, invalid } from '../base/check.js'
import { BucketFolder } from '../storage/bucket-folder.js'
import { takeLease } from '../storage/lease.js'
import { ObjectJournal } from '../storage/object-journal.js'
import { isObjectUrl } from '../storage/object-url.js'
import { readBucketLines, writeBucketManifest } from './bucket-manifest.js'
import { readBucketSpec } from './bucket-spec.js'
import { queueFolder } from './file-names.js'
import { FolderStore, type FolderStoreOptions, type JobBefore } from './folder-store.js'
import type { JobClaim, JobStore } from './job.js'
import { jobExists, jobSpecText, queueIsAtWork } from './job-file.js'
import type { JobLine } from './job-line.js'
import { checkSameJob, type JobSpec } from './job-spec.js'
import type { Pruned } from './manifest.js'
import { inGroups } from './manifest.js'
import { isStale } from './stale-lines.js'

const lockName = '.gradcam-lock'

/** What a job of a queue has below its prefix while it is at work. */
export const queueState = `${queueFolder}/state`

/** Lines whose objects are looked at, at a time. */
const lookedAtOnce = 64

/**
 * Keeps a job in the folder of objects of its results: its specification in job.json, a line for each input in manifest.jsonl, and
 * a lock that keeps other processes away. Objects cannot be added to: lines go to objects below .gradcam-lines, and become the
 * manifest when the job ends or is resumed. Whatever dies at whatever moment, a job can be resumed; lines that were on their way to
 * the storage are then explained again.
 */
export class BucketStore implements JobStore {
  readonly #folder: BucketFolder
  #journal: ObjectJournal | null = null
  /** Whether the prefix held no job when it was claimed. */
  #isNew = false
  #release: () => Promise<void> = async () => {}
  #lost: AbortSignal | null = null

  /**
   * @param url s3://bucket/prefix. Credentials, region and endpoint come by the usual chain of the AWS SDK, the optional peer
   *   `@aws-sdk/client-s3`, which is loaded when the store is first used.
   * @throws GradCamError ERR_INVALID_ARGUMENT
   */
  constructor(
    url: string,
    private readonly options: FolderStoreOptions = {},
  ) {
    if (!isObjectUrl(url)) throw invalid('url', 'an address such as s3://bucket/prefix', url)
    this.#folder = new BucketFolder(url)
    void new FolderStore(url, options) // refuses options that are invalid
  }

  /** @throws GradCamError as {@link claim} does, but for ERR_LOCKED */
  async check(spec: JobSpec): Promise<void> {
    await this.#jobBefore(expect.options(spec, 'spec'))
  }

  /**
   * @throws GradCamError ERR_LOCKED where another process is at work on the prefix, ERR_JOB_EXISTS, ERR_JOB_CHANGED,
   *   ERR_JOB_VERSION, ERR_FILE_UNREADABLE for a damaged job.json, ERR_STORAGE, ERR_TOOL_MISSING
   */
  async claim(spec: JobSpec): Promise<JobClaim> {
    expect.options(spec, 'spec')
    const { lost, release } = await takeLease(this.#folder, lockName, (message) => this.options.onWait?.(message))
    this.#release = release
    this.#lost = lost
    try {
      return { ...(await this.#start(spec)), lost }
    } catch (error) {
      await this.discard()
      throw error
    }
  }

  async #start(spec: JobSpec): Promise<Pruned> {
    const { retryFailed = false, verify = false } = this.options
    const { url } = this.#folder
    const { before, isNew } = await this.#jobBefore(spec)
    this.#isNew = isNew
    if (!before) await this.#folder.put('job.json', jobSpecText(spec))
    const done = new Map<string, boolean>()
    let changed = 0
    const isKept = async (line: JobLine): Promise<boolean> =>
      'error' in line ? !retryFailed : !(await isStale(url, line, verify))
    const kept = async function* (lines: AsyncIterable<JobLine>): AsyncGenerator<JobLine, undefined> {
      for await (const group of inGroups(lines, lookedAtOnce)) {
        const keeps = await Promise.all(group.map(isKept))
        changed += group.filter((line, i) => !('error' in line) && !keeps[i]).length
        for (const [i, line] of group.entries()) {
          if (!keeps[i]) continue
          done.set(line.id, !('error' in line))
          yield line
        }
      }
    }
    await writeBucketManifest(this.#folder, kept(readBucketLines(this.#folder)))
    const attempt = `${Date.now()}-${randomUUID()}`
    this.#journal = new ObjectJournal(this.#folder, (part) => linesName(`${attempt}.${String(part).padStart(8, '0')}`))
    return { done, changed }
  }

  /** The job that the prefix holds, which may be resumed with this specification; and whether it holds nothing of a job. */
  async #jobBefore(spec: JobSpec): Promise<JobBefore> {
    const { resume = false, queue = false } = this.options
    const { url } = this.#folder
    const queued = (await this.#folder.look(queueState)) !== null
    if (queued && !queue) throw queueIsAtWork(url)
    const hasResults = await this.#hasLines()
    const before = queued || hasResults ? await readBucketSpec(this.#folder) : null
    if (before && !resume) throw jobExists(url)
    if (before) checkSameJob(before, spec)
    return { before, isNew: !queued && !hasResults }
  }

  async #hasLines(): Promise<boolean> {
    for await (const _ of readBucketLines(this.#folder)) return true
    return false
  }

  async record(line: JobLine): Promise<void> {
    await this.#journal?.add(JSON.stringify(line))
  }

  /** Makes the manifest of all lines. */
  async close(): Promise<void> {
    try {
      await this.#journal?.flush()
      if (this.#journal && !this.#lost?.aborted) await writeBucketManifest(this.#folder, readBucketLines(this.#folder))
    } finally {
      this.#journal = null
      await this.#release()
    }
  }

  /** Removes job.json and the manifest that {@link claim} made, unless the prefix held a job before. */
  async discard(): Promise<void> {
    if (!this.#isNew) return await this.close()
    try {
      await this.#folder.remove(['job.json', 'manifest.jsonl'])
    } finally {
      this.#journal = null
      await this.#release()
    }
  }
}

/** The store of a folder of results, on a disk or in a storage. */
export function storeFor(out: string, options: FolderStoreOptions = {}): JobStore {
  return isObjectUrl(expect.string('out', out)) ? new BucketStore(out, options) : new FolderStore(out, options)
}

const linesName = (name: string): string => `.gradcam-lines/${name}.jsonl`
