import { readdir, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { writeWhole } from '../base/write-file.js'
import { isPartialName } from '../jobs/file-names.js'
import { unwritable } from '../jobs/file-writer.js'
import type { JobLine } from '../jobs/job-line.js'
import { manifestPath, readManifest } from '../jobs/manifest.js'
import { JobTally } from '../jobs/tally.js'
import { readLines, type Workspace } from './workspace.js'

/** Bytes that are written at a time. */
const blockSize = 1 << 20

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
  const { out } = workspace
  const tally = new JobTally()
  for (const explained of before.values()) tally.before(explained)
  const write = async (file: FileHandle): Promise<void> => {
    let block = ''
    const add = async (line: JobLine): Promise<void> => {
      block += `${JSON.stringify(line)}\n`
      if (block.length < blockSize) return
      await file.appendFile(block)
      block = ''
    }
    for await (const line of readManifest(out)) if (before.has(line.id)) await add(line)
    for await (const line of linesOf(workspace, chunks, unfinished)) {
      if (before.has(line.id)) continue
      tally.add(line)
      await add(line)
    }
    await file.appendFile(block)
  }
  const path = manifestPath(out)
  await writeWhole(path, write, { partial: `${path}.partial` }).catch((error: NodeJS.ErrnoException) => {
    throw unwritable(path, error)
  })
  for (const name of await readdir(out))
    if (isPartialName(name)) await rm(join(out, name), { recursive: true, force: true })
  await workspace.remove()
  return tally
}

async function* linesOf(workspace: Workspace, chunks: number, unfinished: boolean): AsyncGenerator<JobLine, undefined> {
  for (let chunk = 0; chunk < chunks; chunk++) yield* readLines(workspace.part(chunk))
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
export async function tallyManifest(out: string): Promise<JobTally> {
  const tally = new JobTally()
  for await (const line of readManifest(out)) tally.add(line)
  return tally
}
