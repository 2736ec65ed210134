import type { JobLine } from '../jobs/job-line.js'
import { JobTally } from '../jobs/tally.js'
import { allOf, readAhead } from './read-ahead.js'
import type { Workspace } from './workspace.js'

/** Parts that are read at a time. */
const readAtOnce = 16

/**
 * Writes the manifest of a job: the lines it has, and then those of each chunk, in the order of the inputs. With `unfinished`
 * also what was recorded of chunks that are not done. Then what workers knew of the job is removed.
 *
 * @returns the counts of the lines that came from chunks
 */
export async function mergeParts(
  workspace: Workspace,
  chunks: number,
  { unfinished, before }: { readonly unfinished: boolean; readonly before: ReadonlyMap<string, boolean> },
): Promise<JobTally> {
  const tally = new JobTally()
  for (const explained of before.values()) tally.before(explained)
  const lines = async function* (): AsyncGenerator<JobLine, undefined> {
    for await (const line of workspace.manifest()) if (before.has(line.id)) yield line
    for await (const line of linesOf(workspace, chunks, unfinished)) {
      if (before.has(line.id)) continue
      tally.add(line)
      yield line
    }
  }
  await workspace.finish(lines())
  return tally
}

async function* linesOf(workspace: Workspace, chunks: number, unfinished: boolean): AsyncGenerator<JobLine, undefined> {
  const reads = function* (): Generator<() => Promise<JobLine[]>, undefined> {
    for (let chunk = 0; chunk < chunks; chunk++) yield () => allOf(workspace.part(chunk))
  }
  for await (const lines of readAhead(reads(), readAtOnce)) yield* lines
  if (!unfinished) return
  // Attempts at a chunk may have recorded an input more than once.
  const seen = new Set<string>()
  for (const line of await workspace.unfinished()) {
    if (seen.has(line.id) || 'error' in line) continue // what failed while the job ended is tried again
    seen.add(line.id)
    yield line
  }
}

/** The counts of a job whose manifest is written. */
export async function tallyManifest(workspace: Workspace): Promise<JobTally> {
  const tally = new JobTally()
  for await (const line of workspace.manifest()) tally.add(line)
  return tally
}
