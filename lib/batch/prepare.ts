import type { CallOptions } from '../addon/abort.js'
import { digest } from '../base/digest.js'
import { GradCamError } from '../base/errors.js'
import { frameChannels, scalesOf } from '../images/frame-channels.js'
import { isNpy, parseNpy } from '../images/load-npy.js'
import { pixelsOfTensor } from '../images/pixels-of-tensor.js'
import type { ExpectedInput } from '../model/expected-input.js'
import { decode, type DecodeLimits } from '../images/decode.js'
import type { Pixels } from '../images/pixels.js'
import { readSource, sourceName } from '../images/read-source.js'
import { releaseFile } from '../images/release-bytes.js'
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
  /** What the model takes. */
  readonly expected: ExpectedInput
  readonly limits: DecodeLimits
  readonly sha256: boolean
  /** Called with the bytes that the pixels will take; resolves when the memory budget admits them. */
  readonly reserve: (bytes: number) => Promise<void>
}

/** Reads, decodes and frames an image: on threads of libuv's pool and on the addon's thread for images. */
export async function prepare(item: Item, options: PrepareOptions): Promise<Prepared> {
  const { expected } = options
  if (item.tensor) {
    using given = item.tensor
    return { input: toInput(given, `'${item.id}'`, expected), image: null, framing: null, sha256: null }
  }
  const source = item.source as NonNullable<typeof item.source>
  const bytes = await readSource(source, options)
  const sha256 = options.sha256 ? await digest(bytes) : null
  try {
    const name = sourceName(source)
    if (isNpy(bytes)) {
      await options.reserve(bytes.byteLength)
      using array = parseNpy(bytes, name)
      const input = toInput(array, name, expected)
      return { input, image: input.shape.length === 4 ? pixelsOfTensor(input) : null, framing: null, sha256 }
    }
    const channels = channelsOf(expected, name)
    const pages = channels === 2 || channels > 3
    const decoding = { ...options.limits, background: undefined, reserve: options.reserve, pages }
    const image = await decode(bytes, name, decoding, options)
    releaseFile(source, bytes, image)
    const framing = framingOf([image.height, image.width], options.preprocess)
    using planes = await frameChannels({ image, channels, name }, framing, scalesOf(options.preprocess, channels))
    options.signal?.throwIfAborted()
    const input = inDType(planes.unsqueeze(0), expected)
    return { input, image, framing, sha256 }
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

/** The channels of an image for this model, which takes images. */
function channelsOf({ channels, dimensions }: ExpectedInput, name: string): number {
  if (dimensions !== null && dimensions !== 2)
    throw new GradCamError(
      'ERR_SHAPE',
      `${name} is an image, and the model takes inputs of ${dimensions} spatial ${dimensions === 1 ? 'dimension' : 'dimensions'}.`,
      { remedy: 'Give arrays that numpy.save wrote (.npy).', details: { dimensions } },
    )
  return channels ?? 3
}

/** An array, ready for the model, as a batch of one. Throws ERR_SHAPE. */
export function toInput(given: Tensor, name: string, expected: ExpectedInput): Tensor {
  const dimensions = expected.dimensions ?? Math.max(2, given.shape.length - 2)
  const { shape } = given
  // Where nothing says what the model takes: numbers without channels, as those of a sound.
  if (expected.dimensions === null && !shape.includes(0) && (shape.length === 1 || shape.length === 2))
    return inDType(shape.length === 2 && shape[0] === 1 ? given.detach() : given.unsqueeze(0), expected)
  const isBatch = shape.length === dimensions + 2 && shape[0] === 1
  if ((shape.length !== dimensions + 1 && !isBatch) || shape.includes(0))
    throw new GradCamError(
      'ERR_SHAPE',
      `${name} has the shape [${shape.join(', ')}], and the model takes one input [C, ${'DHW'.slice(-dimensions).split('').join(', ')}].`,
      { remedy: 'Give it without a dimension for the batch, or with one of size 1.', details: { shape } },
    )
  return inDType(isBatch ? given.detach() : given.unsqueeze(0), expected)
}

/** Integers, and what the file of the model fixes another type for, as that type. */
function inDType(tensor: Tensor, { dtype }: ExpectedInput): Tensor {
  if (dtype === null || tensor.dtype === dtype) return tensor
  using given = tensor
  return given.to({ dtype })
}
