import type { CallOptions } from '../addon/abort.js'
import { digest } from '../base/digest.js'
import { decode, type DecodeLimits } from '../images/decode.js'
import type { Pixels } from '../images/pixels.js'
import { readSource, sourceName } from '../images/read-source.js'
import { frameImage } from '../images/frame-image.js'
import { framingOf, type Framing } from '../preprocess/framing.js'
import type { Preprocess } from '../preprocess/preprocess.js'
import { Tensor } from '../tensor/tensor.js'
import type { Item } from './input.js'

/** An input that is ready for the model. */
export interface Prepared {
  /** [1, C, H, W] */
  readonly input: Tensor
  /** The decoded image and how the input was cut out of it; null for a tensor. */
  readonly image: Pixels | null
  readonly framing: Framing | null
  /** SHA-256 of the file in hexadecimal digits, where it was asked for. */
  readonly sha256: string | null
}

export interface PrepareOptions extends CallOptions {
  readonly preprocess: Preprocess
  readonly limits: DecodeLimits
  readonly sha256: boolean
  /** Called with the bytes that the pixels will take; resolves when the memory budget admits them. */
  readonly reserve: (bytes: number) => Promise<void>
}

/** Reads, decodes and frames an image: on threads of libuv's pool and on the addon's thread for images. */
export async function prepare(item: Item, options: PrepareOptions): Promise<Prepared> {
  if (item.tensor) return prepareTensor(item.tensor)
  const source = item.source as NonNullable<typeof item.source>
  const bytes = await readSource(source, options)
  const sha256 = options.sha256 ? await digest(bytes) : null
  try {
    const decoding = { ...options.limits, background: undefined, reserve: options.reserve }
    const image = await decode(bytes, sourceName(source), decoding, options)
    const framing = framingOf([image.height, image.width], options.preprocess)
    const planes = await frameImage(image, framing, options.preprocess)
    options.signal?.throwIfAborted()
    return { input: Tensor.from(planes, [1, 3, ...framing.size]), image, framing, sha256 }
  } catch (error) {
    digests.set(error as object, sha256)
    throw error
  }
}

const digests = new WeakMap<object, string | null>()

/** The digest of the file that this error is about, where the file could be read. */
export function digestOf(error: unknown): string | null {
  return typeof error === 'object' && error !== null ? (digests.get(error) ?? null) : null
}

function prepareTensor(tensor: Tensor): Prepared {
  using given = tensor
  const input = given.reshape([1, ...given.shape.slice(-3)])
  return { input, image: null, framing: null, sha256: null }
}
