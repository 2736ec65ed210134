import { setTimeout as sleep } from 'node:timers/promises'
import type { JobEntry } from '../jobs/job.js'
import type { Listing } from './workspace.js'
import { toTaskInput, type TaskInput } from './task.js'

/** Where chunks go. */
export interface ChunkQueue {
  /** How many more chunks may wait now. */
  readonly space: () => Promise<number>
  /** Adds a chunk, unless it is there. */
  readonly add: (chunk: number, inputs: readonly TaskInput[]) => Promise<void>
}

/** How often a full queue is looked at, in milliseconds. */
const fullEvery = 200

/**
 * Lists the inputs of a source and enqueues them in chunks, of which no more than allowed wait at a time: then neither this
 * process nor the queue grows with the job. A listing that was begun is continued, with the same chunks.
 *
 * @param skip whether an input needs no work, e.g. because an earlier run is done with it
 */
export async function listInputs(
  entries: AsyncIterable<JobEntry>,
  {
    listing,
    queue,
    size,
    skip,
    done,
    signal,
  }: {
    readonly listing: Listing
    readonly queue: ChunkQueue
    readonly size: number
    readonly skip: (id: string) => boolean
    /** The numbers of the chunks that are done. */
    readonly done: () => Promise<readonly number[]>
    readonly signal: AbortSignal
  },
): Promise<void> {
  let space = 0
  const enqueue = async (chunk: number, inputs: readonly TaskInput[]): Promise<void> => {
    while (space <= 0) {
      signal.throwIfAborted()
      space = await queue.space()
      if (space <= 0) await sleep(fullEvery, undefined, { signal })
    }
    await queue.add(chunk, inputs)
    space--
  }
  // What was listed before its task was added, or whose task the queue lost.
  const before = listing.chunks
  const isDone = new Set(before > 0 ? await done() : [])
  for (let chunk = 0; chunk < before; chunk++)
    if (!isDone.has(chunk)) await enqueue(chunk, await listing.inputsOf(chunk))

  const isListed = before > 0 ? listedBefore(listing) : async () => false
  let inputs: TaskInput[] = []
  for await (const entry of entries) {
    signal.throwIfAborted()
    if (skip(entry.id) || (await isListed(entry.id))) continue
    inputs.push(toTaskInput(entry))
    if (inputs.length < size) continue
    await enqueue(await listing.add(inputs), inputs)
    inputs = []
  }
  if (inputs.length > 0) await enqueue(await listing.add(inputs), inputs)
}

/**
 * Whether an id is listed. A source that did not change gives the ids in the same order, so that they are compared one by one
 * and none is kept; after the first that differs all of them are held in memory.
 */
function listedBefore(listing: Listing): (id: string) => Promise<boolean> {
  const listed = listing.ids()
  let all: Set<string> | null = null
  return async (id) => {
    if (all) return all.has(id)
    const next = await listed.next()
    if (next.done) return false // all that is listed was compared, and this comes after it
    if (next.value === id) return true
    all = new Set()
    for await (const one of listing.ids()) all.add(one)
    await listed.return(undefined)
    return all.has(id)
  }
}
