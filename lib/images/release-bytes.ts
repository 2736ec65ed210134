import { native } from '../addon/native.js'
import type { Pixels } from './pixels.js'

/**
 * Frees the memory of an array now, where it has all of its buffer. Its elements are gone then: for an array that nobody else
 * has, and that no thread reads any more.
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
