import type { BucketFolder } from '../storage/bucket-folder.js'
import type { JobLine } from './job-line.js'
import { readLine } from './read-line.js'

const manifest = 'manifest.jsonl'

/** Objects with lines that are not in the manifest yet. */
const linesFolder = '.gradcam-lines/'

/**
 * The lines of a job whose results are objects, the first for each input: those of its manifest, and those that were recorded
 * since.
 */
export async function* readBucketLines(folder: BucketFolder): AsyncGenerator<JobLine, undefined> {
  const seen = new Set<string>()
  for await (const text of texts(folder)) {
    const line = readLine(text)
    if (!line || seen.has(line.id)) continue
    seen.add(line.id)
    yield line
  }
}

async function* texts(folder: BucketFolder): AsyncGenerator<string, undefined> {
  yield* folder.lines(manifest)
  for await (const { name } of folder.list(linesFolder)) yield* folder.lines(name)
}

/** Writes the manifest of these lines, which may be read from the present one, and removes what it makes superfluous. */
export async function writeBucketManifest(folder: BucketFolder, lines: AsyncIterable<JobLine>): Promise<void> {
  const pieces = async function* (): AsyncGenerator<string, undefined> {
    for await (const line of lines) yield `${JSON.stringify(line)}\n`
  }
  // Listed before it is written: what comes later is not in it.
  const read: string[] = []
  for await (const { name } of folder.list(linesFolder)) read.push(name)
  await folder.putPieces(manifest, pieces())
  await folder.remove(read)
}
