import type { BatchFile } from '../batch/encode.js'
import { BatchExplanation } from '../batch/result.js'
import { digest } from '../base/digest.js'
import { expect, invalid, isInstance, show } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { fileOf, isBelow } from './file-names.js'
import type { WrittenFile } from './job-line.js'
import type { JobSpec } from './job-spec.js'

/** What a sink takes of a specification. */
export type SinkSpec = Pick<JobSpec, 'write' | 'alpha'>

export function readSinkSpec(spec: JobSpec): SinkSpec {
  const { write, alpha } = expect.options(spec, 'spec')
  return { write: expect.list('spec.write', write, isString, 'kinds of files'), alpha }
}

const isString = (value: unknown): value is BatchFile => typeof value === 'string'

/**
 * Writes the files of a result.
 *
 * Throws ERR_INVALID_ARGUMENT for an id that is not a path below the results, and what `put` throws.
 *
 * @param put writes the bytes of one file, whole or not at all, under a name relative to the results
 * @returns by kind the name of each file, its size and its digest
 */
export async function writeResult(
  result: BatchExplanation<unknown>,
  { write, alpha }: SinkSpec,
  put: (name: string, bytes: Uint8Array) => Promise<unknown>,
): Promise<Readonly<Record<string, WrittenFile>>> {
  if (!isInstance(result, BatchExplanation)) throw invalid('result', 'a BatchExplanation', result)
  checkId(result.id)
  const files: Record<string, WrittenFile> = {}
  for (const kind of write) {
    const name = fileOf(result.id, kind)
    const bytes = await result.encode(kind, { alpha })
    await put(name, bytes)
    files[kind] = { name, bytes: bytes.length, sha256: await digest(bytes) }
  }
  return files
}

/** Ids of a `FileSource` are safe; those of another source may come from anywhere. */
function checkId(id: string): void {
  if (isBelow(id)) return
  throw new GradCamError('ERR_INVALID_ARGUMENT', `The id ${show(id)} is not a path below the folder of the results.`)
}
