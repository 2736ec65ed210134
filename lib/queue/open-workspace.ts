import { isObjectUrl } from '../storage/object-url.js'
import { BucketWorkspace } from './bucket-workspace.js'
import { FolderWorkspace } from './folder-workspace.js'
import type { Workspace } from './workspace.js'

/** @param out the folder of the results: a path, or s3://bucket/prefix */
export function openWorkspace(out: string): Workspace {
  return isObjectUrl(out) ? new BucketWorkspace(out) : new FolderWorkspace(out)
}
