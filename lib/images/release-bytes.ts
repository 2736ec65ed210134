import { native } from '../addon/native.js'
import type { Pixels } from './pixels.js'
import { isFile, type ImageSource, type RemoteImage } from './read-source.js'

/**
 * Frees the memory of an array now, where it has all of its buffer. The array is empty after that, so that nobody else may have it,
 * and no thread may still read it.
 *
 * The collector counts what arrays hold outside its heap. Of images that is megabytes each, so that it runs for every few of them,
 * and takes a quarter of the time of a job.
 */
export function releaseBytes(array: Uint8Array | Uint16Array): void {
  native().releaseBytes(array)
}

/** The same for an image with all its pages. */
export function releasePixels(image: Pixels): void {
  for (const { data } of image.pages ?? [image]) releaseBytes(data)
}

/** The same for the bytes of a file from which an image was decoded. The bytes of other sources may be used again. */
export function releaseFile(source: ImageSource | RemoteImage, bytes: Uint8Array, { data }: Pixels): void {
  if (isFile(source) && data.buffer !== bytes.buffer) releaseBytes(bytes)
}
