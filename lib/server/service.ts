import { GradCamError } from '../base/errors.js'
import { wholeOf } from '../batch/explain-batch.js'
import { encodeMap } from '../batch/encode.js'
import { MemoryBudget } from '../batch/memory-budget.js'
import { prepare, type Prepared, type PrepareOptions } from '../batch/prepare.js'
import { Stage } from '../batch/stage.js'
import { releasePixels } from '../images/release-bytes.js'
import { answerOf, type Answer, type AnswerMap, type DecodedImage } from './answer.js'
import { evaluate, mostEvaluated, type Evaluated, type EvaluationAsk } from './evaluation.js'
import type { BatchListener, LaneSettings } from './lane.js'
import type { ServerSettings } from './options.js'
import { countOf, planOf, type Ask, type Plan } from './plan.js'
import type { ExpectedInput } from '../model/expected-input.js'
import type { Tensor } from '../tensor/tensor.js'
import { inputsOfRequest } from './asked-inputs.js'
import { ServedModel } from './served-model.js'

/** The kinds of images that an answer may be. */
export const overlayFormats = { png: 'overlay-png', webp: 'overlay-webp', jpeg: 'overlay' } as const

/** An overlay as the bytes of a file, and what it shows. */
export interface DrawnAnswer {
  readonly bytes: Buffer
  readonly map: AnswerMap
}

/** A PNG of one grey pixel. */
const smallImage = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==',
  'base64',
)

/** What tells of batches, and of requests. */
export interface ServiceListeners {
  /** By the name of the model. */
  readonly onBatch: (model: string) => BatchListener
  readonly inProgress: LaneSettings['inProgress']
}

/** Explains images that come as bytes, whatever the protocol: decodes, batches by lanes, draws. */
export class ExplainService {
  readonly #memory: MemoryBudget
  readonly #stage: Stage<() => Promise<void>>
  readonly #tasks = new Set<Promise<void>>()
  #next = 0

  private constructor(
    readonly models: ReadonlyMap<string, ServedModel>,
    private readonly settings: ServerSettings,
  ) {
    this.#memory = new MemoryBudget(settings.memory, () => {})
    this.#stage = new Stage(
      settings.concurrency,
      (work) => work(),
      (task) => {
        const tracked = task.finally(() => {
          this.#tasks.delete(tracked)
          this.#stage.start()
        })
        this.#tasks.add(tracked)
      },
    )
  }

  /** Prepares the models. Throws as `pickLayer` and the explainers do. */
  static async open(settings: ServerSettings, { onBatch, inProgress }: ServiceListeners): Promise<ExplainService> {
    const opened = new Map<string, ServedModel>()
    // The images that prepare models are not requests, and are not counted.
    let isReady = false
    for (const one of settings.models) {
      const { batchWindow, maxBatch } = settings
      const listener = onBatch(one.name)
      const counted: BatchListener = (images, seconds) => {
        if (isReady) listener(images, seconds)
      }
      opened.set(one.name, await ServedModel.open(one, { batchWindow, maxBatch, onBatch: counted, inProgress }))
    }
    const service = new ExplainService(opened, settings)
    await service.#warm()
    isReady = true
    return service
  }

  /**
   * @param bytes of an image file; never a path
   * @throws GradCamError, or the reason of the signal
   */
  async explain(ask: Ask, bytes: Uint8Array, signal: AbortSignal): Promise<Answer> {
    return await this.#planned(ask, signal, (plan) =>
      this.#withImage(plan, bytes, { signal, keep: false }, (image) => answerOf(plan, image, signal)),
    )
  }

  /** The same as one overlay over the image. */
  async draw(
    ask: Ask & { readonly format: keyof typeof overlayFormats; readonly alpha: number },
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<DrawnAnswer> {
    return await this.#planned(ask, signal, (plan) => {
      if (countOf(plan) > 1)
        throw new GradCamError('ERR_INVALID_ARGUMENT', `An image shows one map, but ${countOf(plan)} are asked for.`, {
          remedy: 'Ask for one method, layer and target, or for the format json.',
        })
      return this.#withImage(plan, bytes, { signal, keep: true }, async (image) => {
        const { maps } = await answerOf(plan, image, signal)
        const [map] = maps as readonly [AnswerMap]
        const drawable = { id: 'image', map: map.values, image: image.pixels, framing: image.framing }
        const { format, alpha } = ask
        const drawn = await this.#inStage(signal, () => encodeMap(drawable, overlayFormats[format], { alpha }))
        return { bytes: drawn, map }
      })
    })
  }

  /** The same with the maps evaluated, which runs the model many times for each. */
  async evaluate(ask: Ask & EvaluationAsk, bytes: Uint8Array, signal: AbortSignal): Promise<Evaluated> {
    return await this.#planned(ask, signal, (plan) => {
      if (countOf(plan) > mostEvaluated)
        throw new GradCamError(
          'ERR_INVALID_ARGUMENT',
          `A request may have ${mostEvaluated} maps evaluated, but this one asks for ${countOf(plan)}.`,
          { remedy: 'Send several requests.' },
        )
      if (plan.inputs && plan.inputs.values.length > 1)
        throw new GradCamError(
          'ERR_INVALID_ARGUMENT',
          'Maps of a model with several inputs cannot be evaluated: insertion and deletion are of models that take an image alone.',
        )
      return this.#withImage(plan, bytes, { signal, keep: false }, (image) => evaluate(plan, ask, image, signal))
    })
  }

  async close(): Promise<void> {
    this.#memory.close(new GradCamError('ERR_ABORTED', 'The server was closed.'))
    await Promise.all([...this.models.values()].map((model) => model.close()))
    while (this.#tasks.size > 0) await Promise.all(this.#tasks)
  }

  /**
   * Explains an image as a request does: the first one would wait for the decoder to be loaded, and for the explainer of its lane.
   * A model that takes arrays alone refuses it.
   */
  async #warm(): Promise<void> {
    const never = new AbortController().signal
    for (const [model, { layer }] of this.models)
      if (layer !== null && this.settings.methods.includes('gradcam'))
        await this.explain({ model, method: ['gradcam'] }, smallImage, never).catch(() => {})
  }

  /** Checks what is asked for, and makes the other inputs of the model, which are freed afterwards. */
  async #planned<Result>(ask: Ask, signal: AbortSignal, use: (plan: Plan) => Promise<Result>): Promise<Result> {
    const plan = planOf(ask, this.models, this.settings.methods)
    const { settings, model } = plan.model
    const load = async (bytes: Uint8Array, expected: ExpectedInput): Promise<Tensor> =>
      await this.#prepared(bytes, { preprocess: settings.preprocess, expected, signal }, ({ input }) =>
        Promise.resolve(input),
      )
    using inputs = await inputsOfRequest(model, settings.inputs, ask.inputs, load)
    return await use({ ...plan, inputs })
  }

  /** Decodes an image, and keeps its place in the memory budget while its pixels are used. */
  async #withImage<Result>(
    { model, inputs }: Plan,
    bytes: Uint8Array,
    { signal, keep }: { readonly signal: AbortSignal; readonly keep: boolean },
    use: (image: DecodedImage) => Promise<Result>,
  ): Promise<Result> {
    const expected = inputs?.expected ?? model.expected
    return await this.#prepared(
      bytes,
      { preprocess: model.settings.preprocess, expected, signal },
      async (prepared, release) => {
        const image = toDecoded(prepared, model.shapeFor(expected), keep)
        using _input = image.input
        if (!keep) {
          if (prepared.image) releasePixels(prepared.image)
          release()
        }
        const result = await use(image)
        if (image.pixels) releasePixels(image.pixels)
        return result
      },
    )
  }

  /** Decodes an image and uses it. `release` gives its place in the memory budget back before that. */
  async #prepared<Result>(
    bytes: Uint8Array,
    how: Pick<PrepareOptions, 'preprocess' | 'expected'> & { readonly signal: AbortSignal },
    use: (prepared: Prepared, release: () => void) => Promise<Result>,
  ): Promise<Result> {
    const index = this.#next++
    const { limits } = this.settings
    const item = { index, id: 'image', source: bytes, tensor: null, target: 0 }
    const reserve = (size: number): Promise<void> => this.#memory.take(index, size)
    const options = { ...how, limits, sha256: false, reserve }
    const release = (): void => this.#memory.release(index)
    try {
      return await use(await this.#inStage(how.signal, () => prepare(item, options)), release)
    } finally {
      release()
    }
  }

  /** So many images at a time are decoded and drawn. What nobody waits for any more is not begun. */
  #inStage<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#stage.add(async () => {
        if (signal.aborted) reject(signal.reason as Error)
        else await work().then(resolve, reject)
      })
      this.#stage.start()
    })
  }
}

function toDecoded({ input, image, framing }: Prepared, shape: readonly number[], keep: boolean): DecodedImage {
  const size = input.shape.slice(-2) as [number, number]
  if (framing && image) return { input, framing, size: [image.height, image.width], pixels: keep ? image : null }
  // An array (.npy) comes in its own size. What it costs to run must not be more than for images.
  const most = shape.reduce((product, one) => product * one, 1)
  const numbers = input.shape.reduce((product, one) => product * one, 1)
  if (numbers <= most) return { input, framing: wholeOf(input), size, pixels: keep ? image : null }
  input.dispose()
  throw new GradCamError('ERR_SHAPE', `The array has ${numbers} numbers, and the model is served for ${most}.`, {
    remedy: `Send one of the shape [${shape.slice(1).join(', ')}].`,
  })
}
