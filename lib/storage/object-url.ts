import { invalid } from '../base/check.js'

/** Where an object, or all objects that begin so, lie. */
export interface ObjectAddress {
  readonly bucket: string
  /** Without a slash at its start; '' for the whole bucket. */
  readonly key: string
}

const scheme = 's3://'

/** Whether a text names objects of a storage, and not a file. */
export function isObjectUrl(text: unknown): boolean {
  return typeof text === 'string' && text.slice(0, scheme.length).toLowerCase() === scheme
}

/**
 * Reads `s3://bucket/key`. A key is taken as it is, as other tools do: without percent signs that stand for something else.
 *
 * Throws ERR_INVALID_ARGUMENT.
 */
export function readObjectUrl(text: string, name = 'address'): ObjectAddress {
  const [, bucket, key = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([^\0]*))?$/i.exec(text) ?? []
  if (bucket === undefined) throw invalid(name, 'an address such as s3://bucket/prefix', text)
  return { bucket: bucket.toLowerCase(), key }
}

/** The address as text. */
export function objectUrl({ bucket, key }: ObjectAddress): string {
  return `${scheme}${bucket}/${key}`
}

/** The address of a folder of objects, with one slash at its end and none twice: 's3://bucket/prefix/'. */
export function folderUrl(text: string, name?: string): string {
  return objectUrl(readObjectUrl(`${text.replace(/\/+$/, '')}/`, name))
}

/** Whether an object lies in a folder of objects, or is that folder. Both as {@link folderUrl} and {@link objectUrl} write them. */
export function isInFolder(url: string, folder: string): boolean {
  return url.startsWith(folder) || `${url}/` === folder
}

/** The deepest folder that all the given folders of objects lie in; 's3://' where they are in several buckets. */
export function commonObjectFolder(folders: readonly string[]): string {
  const [first = [], ...others] = folders.map((folder) => folder.slice(scheme.length).replace(/\/$/, '').split('/'))
  let common: readonly string[] = first
  for (const other of others) {
    const end = common.findIndex((part, i) => part !== other[i])
    if (end >= 0) common = common.slice(0, end)
  }
  return common.length === 0 ? scheme : `${scheme}${common.join('/')}/`
}
