import { randomUUID } from 'node:crypto'
import { GradCamError } from '../base/errors.js'

/**
 * Images that clients uploaded to explain them several times. They are in memory, as they came, up to a limit: beyond it those
 * go that were not used for the longest. Their names are random, so that no client finds those of others.
 */
export class Uploads {
  /** By name, the one that was used last at the end. */
  readonly #images = new Map<string, Uint8Array>()
  #bytes = 0

  /** @param limit in bytes */
  constructor(private readonly limit: number) {}

  /** Keeps an image. Throws ERR_REQUEST_TOO_LARGE. */
  add(image: Uint8Array): string {
    if (image.byteLength > this.limit)
      throw new GradCamError(
        'ERR_REQUEST_TOO_LARGE',
        `The image has ${image.byteLength} bytes, and ${this.limit} are kept.`,
      )
    const name = randomUUID()
    this.#images.set(name, image)
    this.#bytes += image.byteLength
    for (const [oldest, { byteLength }] of this.#images) {
      if (this.#bytes <= this.limit) break
      this.#images.delete(oldest)
      this.#bytes -= byteLength
    }
    return name
  }

  /** Throws ERR_UPLOAD_NOT_FOUND. */
  get(name: string): Uint8Array {
    const image = this.#images.get(name)
    if (!image)
      throw new GradCamError('ERR_UPLOAD_NOT_FOUND', 'An image of that name does not exist, or was removed.', {
        remedy: 'Upload it again: POST /v1/images.',
      })
    this.#images.delete(name)
    this.#images.set(name, image)
    return image
  }
}
