import { GradCamError } from '../base/errors.js'
import type { NodeBuffer } from '../base/platform-types.js'
import type { Pixels } from '../images/pixels.js'
import { releasePixels } from '../images/release-bytes.js'
import type { MapValues } from '../images/draw-map.js'
import { seenRegion, type Framing, type Region } from '../preprocess/framing.js'
import type { MapCondition } from '../explain/condition.js'
import type { PrecisionChoice } from '../explain/precision-choice.js'
import type { ModelNote } from '../model/model-notes.js'
import { Tensor } from '../tensor/tensor.js'
import { encodeMap, type BatchFile, type EncodeMapOptions } from './encode.js'

/** One of the highest classes of a model's output. */
export interface TopClass {
  /** Its index. */
  readonly class: number
  /** The model's output for it. */
  readonly score: number
  /** The softmax over all outputs; of a model that ends in softmax or sigmoid its output, which is a probability already. */
  readonly probability: number
}

/** The explanation of one input as plain values, before it is handed out. */
export interface ExplainedInput {
  readonly index: number
  readonly id: string
  readonly target: number
  readonly score: number
  readonly of: readonly (string | number)[] | null
  readonly outputs: number
  readonly top: readonly TopClass[]
  readonly condition: MapCondition
  readonly calls: number | null
  readonly notes: readonly ModelNote[]
  readonly sha256: string | null
  readonly milliseconds: number
  readonly map: MapValues
  readonly image: Pixels | null
  readonly framing: Framing
  readonly warnings: readonly string[]
  readonly precision: PrecisionChoice | null
}

/** The explanation of one input. It owns its map and its image: dispose it after use. */
export class BatchExplanation<Extra = undefined> implements Disposable {
  readonly ok = true
  /** The number of the input in its source, from 0. */
  readonly index: number
  /** The name of the input: see {@link BatchEntry.id}. */
  readonly id: string
  /** The class that was explained; -1 where the target is not a class, or none was needed and the output has none. */
  readonly target: number
  /** Its score: the model's output for it; NaN where none was needed and the output has no class. */
  readonly score: number
  /** The path to the part of the output that was taken where none was named; null where the output is one tensor. */
  readonly of: readonly (string | number)[] | null
  /** How many numbers the model returned for it; 0 where the output is not [N, C]. */
  readonly outputs: number
  /** The five highest classes, the highest first; empty where the output is not [N, C]. */
  readonly top: readonly TopClass[]
  /** Whether the map says something, and if not, why. */
  readonly condition: MapCondition
  /** How often the pass called the layer, see `CamOptions.call`; null for a method that requires none. */
  readonly calls: number | null
  /** What makes results of the model depend on more than the image: nothing for most models. */
  readonly notes: readonly ModelNote[]
  /** SHA-256 of the image file in hexadecimal digits, where the option `sha256` asked for it. */
  readonly sha256: string | null
  /** From when the input was taken until it was explained. */
  readonly milliseconds: number
  /** How the model's input was cut out of the image. */
  readonly framing: Framing
  /** [height, width] of the image, or of the tensor. */
  readonly size: readonly [height: number, width: number]
  /** What LibTorch and the model warned of when the batch of the input was explained, each text once. */
  readonly warnings: readonly string[]
  /** What `precision: 'auto'` chose for its batch; null where it was not given. */
  readonly precision: PrecisionChoice | null
  #explained: ExplainedInput | null
  #map: Tensor | undefined
  /** Files that are being encoded. */
  #encoding = 0
  #extra: Extra | undefined

  /** @internal */
  constructor(explained: ExplainedInput) {
    const {
      index,
      id,
      target,
      score,
      of,
      outputs,
      top,
      condition,
      calls,
      notes,
      warnings,
      precision,
      sha256,
      milliseconds,
      framing,
      image,
    } = explained
    this.index = index
    this.id = id
    this.target = target
    this.score = score
    this.of = of
    this.outputs = outputs
    this.top = top
    this.condition = condition
    this.calls = calls
    this.notes = notes
    this.sha256 = sha256
    this.milliseconds = milliseconds
    this.framing = framing
    this.warnings = warnings
    this.precision = precision
    this.size = image ? [image.height, image.width] : [framing.size[0], framing.size[1]]
    this.#explained = explained
  }

  /**
   * The map as the method made it, [1, 1, h, w] float32 over the model's input; [1, 1, d, h, w] and [1, 1, l] for models of
   * volumes and signals. This result owns it.
   */
  get map(): Tensor {
    const { data, height, width, sizes = [height, width] } = this.#open.map
    return (this.#map ??= Tensor.from(data, [1, 1, ...sizes]))
  }

  /** The pixels of the image that the model saw: the map lies over these. */
  get region(): Region {
    return seenRegion(this.size, this.framing)
  }

  /** What the option `finish` returned. */
  get extra(): Extra {
    return this.#extra as Extra
  }

  /** @internal */
  set extra(extra: Extra) {
    this.#extra = extra
  }

  /**
   * Encodes the map as the bytes of a file: an overlay over the image, a grey map of the image's size, or the map itself.
   *
   * @throws GradCamError ERR_INVALID_ARGUMENT, also for an overlay of a tensor, ERR_IMAGE_WRITE
   */
  async encode(file: BatchFile, options: EncodeMapOptions = {}): Promise<NodeBuffer> {
    const explained = this.#open
    this.#encoding++
    try {
      return await encodeMap(explained, file, options)
    } finally {
      this.#encoding--
      if (!this.#explained) this.#release(explained)
    }
  }

  get #open(): ExplainedInput {
    if (this.#explained) return this.#explained
    throw new GradCamError('ERR_DISPOSED', `The result of '${this.id}' was disposed. Use it before that.`)
  }

  /** Frees the map and the image. Safe to call again. */
  dispose(): void {
    this.#map?.dispose()
    const explained = this.#explained
    this.#explained = null
    if (explained) this.#release(explained)
  }

  /** Not while a file is encoded, which reads the image. */
  #release({ image }: ExplainedInput): void {
    if (this.#encoding === 0 && image) releasePixels(image)
  }

  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** An input that could not be explained. It owns nothing; it can be disposed so that `using` takes every result. */
export class BatchFailure implements Disposable {
  readonly ok = false

  /** @internal */
  constructor(
    readonly index: number,
    readonly id: string,
    /** A GradCamError for every error of this package. */
    readonly error: unknown,
    /** SHA-256 of the image file, where it could be read and the option `sha256` asked for it. */
    readonly sha256: string | null,
  ) {}

  /** Does nothing: a failure holds no tensors. */
  dispose(): void {}

  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void {}
}

/** The result of one input: `ok` tells which of the two it is. */
export type BatchResult<Extra = undefined> = BatchExplanation<Extra> | BatchFailure
