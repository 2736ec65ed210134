import { GradCamError } from '../base/errors.js'
import { BucketFolder, type ObjectFacts } from './bucket-folder.js'
import { objectUrl, readObjectUrl } from './object-url.js'

/** An image in a storage, which is fetched when its turn comes. */
export class ObjectImage {
  /** What the storage told of it when it was fetched. */
  facts: ObjectFacts | null = null

  /** @param name its address */
  constructor(readonly name: string) {}

  /** Throws ERR_IMAGE_NOT_FOUND, ERR_IMAGE_UNREADABLE, and ERR_STORAGE where the storage cannot be reached. */
  async read(): Promise<Uint8Array> {
    const { bucket, key } = readObjectUrl(this.name)
    const found = await new BucketFolder(objectUrl({ bucket, key: '' })).read(key).catch((error: unknown) => {
      throw isForbidden(error) ? unreadable(this.name) : error
    })
    if (!found) throw new GradCamError('ERR_IMAGE_NOT_FOUND', `The image '${this.name}' does not exist.`)
    this.facts = { bytes: found.bytes, modified: found.modified }
    return found.content
  }
}

/** Of a single object: others may be allowed. */
function isForbidden(error: unknown): boolean {
  return error instanceof GradCamError && error.details?.['reason'] === 'AccessDenied'
}

function unreadable(name: string): GradCamError {
  return new GradCamError('ERR_IMAGE_UNREADABLE', `The image '${name}' cannot be read: you may not.`, {
    remedy: 'Allow the credentials to read it.',
  })
}
