import type { BucketFolder } from '../storage/bucket-folder.js'
import { parseJobSpec } from './job-file.js'
import type { JobSpec } from './job-spec.js'

// Not beside BucketStore, which is exported: BucketFolder's type requires Node's types, which the package's types do without.

/** The specification of the job that a folder of objects holds; null where it holds none. */
export async function readBucketSpec(folder: BucketFolder): Promise<JobSpec | null> {
  const text = await folder.readText('job.json')
  return text === null ? null : parseJobSpec(text, `${folder.url}job.json`)
}
