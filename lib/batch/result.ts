import { GradCamError } from '../base/errors.js'
import type { Pixels } from '../images/decode.js'
import type { MapValues } from '../images/draw-map.js'
import { seenRegion, type Framing, type Region } from '../preprocess/framing.js'
import { Tensor } from '../tensor/tensor.js'
import { encodeMap, type BatchFile, type EncodeMapOptions } from './encode.js'

/** One class of a model's output. */
export interface TopClass {
  readonly class: number
  readonly score: number
  /** The softmax over all outputs. */
  readonly probability: number
}

/** What explaining one input found, before it is handed out. */
export interface Found {
  readonly index: number
  readonly id: string
  readonly target: number
  readonly score: number
  readonly outputs: number
  readonly top: readonly TopClass[]
  readonly sha256: string | null
  readonly milliseconds: number
  readonly map: MapValues
  readonly image: Pixels | null
  readonly framing: Framing
}

/** The explanation of one input. It owns its map and its image: dispose it when they are no longer wanted. */
export class BatchExplanation<Extra = undefined> implements Disposable {
  readonly ok = true
  /** The place of the input in its source, from 0 on. */
  readonly index: number
  readonly id: string
  /** The class that was explained. */
  readonly target: number
  /** Its score: the model's output for it. */
  readonly score: number
  /** How many numbers the model returned for it; 0 where the output is no [N, C]. */
  readonly outputs: number
  /** The five highest classes, the highest first; empty where the output is no [N, C]. */
  readonly top: readonly TopClass[]
  /** Of the bytes of the image file, where the job was asked for it. */
  readonly sha256: string | null
  /** From when the input was taken up until it was explained. */
  readonly milliseconds: number
  /** How the model's input was cut out of the image. */
  readonly framing: Framing
  /** [height, width] of the image, or of the tensor. */
  readonly size: readonly [height: number, width: number]
  #found: Found | null
  #map: Tensor | undefined
  #extra: Extra | undefined

  /** @internal */
  constructor(found: Found) {
    const { index, id, target, score, outputs, top, sha256, milliseconds, framing, image } = found
    this.index = index
    this.id = id
    this.target = target
    this.score = score
    this.outputs = outputs
    this.top = top
    this.sha256 = sha256
    this.milliseconds = milliseconds
    this.framing = framing
    this.size = image ? [image.height, image.width] : [framing.size[0], framing.size[1]]
    this.#found = found
  }

  /** The map as the method made it, [1, 1, h, w] float32 over the model's input. It belongs to this result. */
  get map(): Tensor {
    const { data, height, width } = this.#open.map
    return (this.#map ??= Tensor.from(data, [1, 1, height, width]))
  }

  /** The pixels of the image that the model saw: the map lies over these. */
  get region(): Region {
    return seenRegion(this.size, this.framing)
  }

  /** What the job's `finish` returned. */
  get extra(): Extra {
    return this.#extra as Extra
  }

  /** @internal */
  set extra(extra: Extra) {
    this.#extra = extra
  }

  /**
   * The bytes of a file: an overlay over the image, grey maps of the image's size, or the map itself.
   *
   * @throws GradCamError ERR_INVALID_ARGUMENT, also for an overlay of a tensor, ERR_IMAGE_WRITE
   */
  encode(file: BatchFile, options: EncodeMapOptions = {}): Promise<Buffer> {
    return encodeMap(this.#open, file, options)
  }

  get #open(): Found {
    if (this.#found) return this.#found
    throw new GradCamError('ERR_DISPOSED', `The result of '${this.id}' was disposed. Use it before that.`)
  }

  /** Frees the map and the image. Safe to call again. */
  dispose(): void {
    this.#map?.dispose()
    this.#found = null
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** An input that could not be explained. There is nothing to free, but `using` takes it too. */
export class BatchFailure implements Disposable {
  readonly ok = false

  /** @internal */
  constructor(
    readonly index: number,
    readonly id: string,
    /** A GradCamError for all that this package refuses. */
    readonly error: unknown,
    /** Of the bytes of the image file, where it could be read and the job was asked for it. */
    readonly sha256: string | null,
  ) {}

  dispose(): void {}

  [Symbol.dispose](): void {}
}

export type BatchResult<Extra = undefined> = BatchExplanation<Extra> | BatchFailure
