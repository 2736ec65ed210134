import { BucketSink } from '../jobs/bucket-sink.js'
import { readBucketSpec } from '../jobs/bucket-spec.js'
import { queueState } from '../jobs/bucket-store.js'
import { readBucketLines, writeBucketManifest } from '../jobs/bucket-manifest.js'
import { queueFolder } from '../jobs/file-names.js'
import type { ResultSink } from '../jobs/job.js'
import type { JobLine } from '../jobs/job-line.js'
import type { JobSpec } from '../jobs/job-spec.js'
import { readLine } from '../jobs/read-line.js'
import { isStale } from '../jobs/stale-lines.js'
import { BucketFolder } from '../storage/bucket-folder.js'
import { ObjectJournal } from '../storage/object-journal.js'
import { BucketListing } from './bucket-listing.js'
import { chunkOf, nameOf, type Journal, type Listing, type Workspace } from './workspace.js'

const journals = `${queueFolder}/journals/`
const parts = `${queueFolder}/parts/`

/** A workspace in a storage: objects below .gradcam-queue in the folder of the results. */
export class BucketWorkspace implements Workspace {
  readonly #folder: BucketFolder

  constructor(readonly out: string) {
    this.#folder = new BucketFolder(out)
  }

  /** What is there stays. */
  async make(): Promise<void> {
    await this.#folder.put(queueState, 'running', { ifNone: true })
  }

  async exists(): Promise<boolean> {
    return (await this.#folder.look(queueState)) !== null
  }

  async stop(): Promise<void> {
    await this.#folder.put(queueState, 'stopped')
  }

  /** One request: every worker asks it again and again. */
  async isStopped(): Promise<boolean> {
    return (await this.#folder.readText(queueState)) !== 'running'
  }

  async resume(): Promise<void> {
    await this.#folder.put(queueState, 'running')
  }

  openListing(): Promise<Listing> {
    return BucketListing.open(new BucketFolder(`${this.#folder.url}${queueFolder}/listing`))
  }

  async isDone(chunk: number): Promise<boolean> {
    return (await this.#folder.look(partName(chunk))) !== null
  }

  /** Chunks that are done lie close together: those before `from` are not listed again. */
  async done(from = 0): Promise<number[]> {
    const found: number[] = []
    for await (const { name } of this.#folder.list(parts, from > 0 ? partName(from - 1) : undefined)) {
      const chunk = chunkOf(name.slice(parts.length))
      if (chunk !== null) found.push(chunk)
    }
    return found
  }

  part(chunk: number): AsyncIterable<JobLine> {
    return this.#lines(partName(chunk))
  }

  async *#lines(name: string): AsyncGenerator<JobLine, undefined> {
    for await (const text of this.#folder.lines(name)) {
      const line = readLine(text)
      if (line) yield line
    }
  }

  async publish(chunk: number, lines: readonly JobLine[]): Promise<void> {
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
    await this.#folder.put(partName(chunk), text, { ifNone: true })
    await this.#folder.remove(await this.#journals(nameOf(chunk)))
  }

  async #journals(prefix: string): Promise<string[]> {
    const names: string[] = []
    for await (const { name } of this.#folder.list(`${journals}${prefix}`)) names.push(name)
    return names
  }

  async openJournal(chunk: number, attempt: string): Promise<Journal> {
    const journal = new ObjectJournal(
      this.#folder,
      (part) => `${journals}${nameOf(chunk)}.${attempt}.${String(part).padStart(8, '0')}.jsonl`,
    )
    return { add: (line) => journal.add(JSON.stringify(line)), close: () => journal.flush() }
  }

  async *recorded(chunk: number): AsyncGenerator<JobLine, undefined> {
    for (const name of await this.#journals(`${nameOf(chunk)}.`))
      for await (const line of this.#lines(name))
        if ('error' in line || !(await isStale(this.out, line, false))) yield line
  }

  async unfinished(): Promise<JobLine[]> {
    const lines: JobLine[] = []
    for (const name of await this.#journals('')) for await (const line of this.#lines(name)) lines.push(line)
    return lines
  }

  async specBytes(): Promise<Uint8Array | null> {
    return (await this.#folder.read('job.json'))?.content ?? null
  }

  readSpec(): Promise<JobSpec | null> {
    return readBucketSpec(this.#folder)
  }

  manifest(): AsyncIterable<JobLine> {
    return readBucketLines(this.#folder)
  }

  async finish(lines: AsyncIterable<JobLine>): Promise<void> {
    await writeBucketManifest(this.#folder, lines)
    await this.#folder.remove([queueState]) // first: those who look see that the job is over
    const names = async function* (folder: BucketFolder): AsyncGenerator<string, undefined> {
      for await (const { name } of folder.list(`${queueFolder}/`)) yield name
    }
    await this.#folder.remove(names(this.#folder))
  }

  sink(): ResultSink {
    return new BucketSink(this.out)
  }
}

const partName = (chunk: number): string => `${parts}${nameOf(chunk)}.jsonl`
