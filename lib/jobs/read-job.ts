import { expect } from '../base/check.js'
import { BucketFolder } from '../storage/bucket-folder.js'
import { isObjectUrl } from '../storage/object-url.js'
import { readBucketLines } from './bucket-manifest.js'
import { readBucketSpec } from './bucket-spec.js'
import { readFolderSpec } from './folder-store.js'
import type { JobLine } from './job-line.js'
import type { JobSpec } from './job-spec.js'
import { readFolderManifest } from './manifest.js'

/**
 * The lines of the manifest in a folder of results, on a disk or s3://bucket/prefix: those that are complete, and the first for each
 * input. A line that was cut off when its writer died is left out, and so is one that is not a {@link JobLine}: its input counts as
 * not done. Of objects also the lines of a job that runs, or was killed.
 *
 * @returns nothing where the folder holds none
 * @throws GradCamError ERR_FILE_UNREADABLE, ERR_STORAGE, ERR_TOOL_MISSING, ERR_INVALID_ARGUMENT
 */
export async function* readManifest(folder: string): AsyncGenerator<JobLine, undefined> {
  const path = expect.path('folder', folder)
  yield* isObjectUrl(path) ? readBucketLines(new BucketFolder(path)) : readFolderManifest(path)
}

/**
 * The specification of the job that a folder holds, on a disk or s3://bucket/prefix; null where it holds none.
 *
 * @throws GradCamError ERR_FILE_UNREADABLE for a damaged job.json, ERR_JOB_VERSION for one of a later version, ERR_STORAGE,
 *   ERR_TOOL_MISSING
 */
export async function readJobSpec(folder: string): Promise<JobSpec | null> {
  const path = expect.path('folder', folder)
  return isObjectUrl(path) ? await readBucketSpec(new BucketFolder(path)) : await readFolderSpec(path)
}
