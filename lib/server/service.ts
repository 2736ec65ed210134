import { GradCamError } from '../base/errors.js'
import { invalid, show } from '../base/check.js'
import { wholeOf, type ExplainedMap, type ExplainedMaps } from '../batch/explain-batch.js'
import { encodeMap } from '../batch/encode.js'
import { MemoryBudget } from '../batch/memory-budget.js'
import { prepare, type Prepared } from '../batch/prepare.js'
import type { TopClass } from '../batch/result.js'
import { Stage } from '../batch/stage.js'
import { checkBatchTarget, type BatchTarget } from '../batch/target.js'
import { methods, type MethodName } from '../methods/table.js'
import type { ModelNote } from '../model/model-notes.js'
import { seenRegion, type Framing, type Region } from '../preprocess/framing.js'
import { parseTarget } from '../target/labels.js'
import type { TargetData } from '../target/target.js'
import type { Pixels } from '../images/pixels.js'
import type { Tensor } from '../tensor/tensor.js'
import type { BatchListener } from './lane.js'
import type { ServerSettings } from './options.js'
import { findModel, laneKeys, ServedModel } from './served-model.js'

/** What a request asks for, as its schema lets it through. */
export interface Ask {
  readonly model?: string
  readonly method?: readonly MethodName[]
  readonly layer?: readonly string[]
  readonly target?: readonly (string | number | TargetData)[]
}

/** One map of an answer. */
export interface AnswerMap extends ExplainedMap {
  readonly target: BatchTarget
  /** The class that was explained. */
  readonly class: number
  readonly score: number
}

/** What was found about an image. */
export interface Answer {
  readonly model: ServedModel
  readonly size: readonly [height: number, width: number]
  readonly region: Region
  readonly outputs: number
  readonly top: readonly TopClass[]
  readonly maps: readonly AnswerMap[]
  readonly notes: readonly ModelNote[]
  readonly warnings: readonly string[]
}

/** The kinds of images that an answer may be. */
export const overlayFormats = { png: 'overlay-png', webp: 'overlay-webp', jpeg: 'overlay' } as const

/** An overlay as the bytes of a file, and what it shows. */
export interface DrawnAnswer {
  readonly bytes: Buffer
  readonly map: AnswerMap
}

/** The most maps of one request. */
export const mostMaps = 64

/** A decoded image. */
interface DecodedImage {
  /** What the model takes: [1, 3, height, width]. */
  readonly input: Tensor
  /** Null where they are not needed any more. */
  readonly pixels: Pixels | null
  readonly size: readonly [height: number, width: number]
  readonly framing: Framing
}

/** What a request asks for, checked against its model. */
interface Plan {
  readonly model: ServedModel
  readonly names: readonly MethodName[]
  readonly layers: readonly string[]
  readonly targets: readonly BatchTarget[]
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
  static async open(settings: ServerSettings, onBatch: (model: string) => BatchListener): Promise<ExplainService> {
    const opened = new Map<string, ServedModel>()
    for (const one of settings.models) {
      const { batchWindow, maxBatch } = settings
      opened.set(one.name, await ServedModel.open(one, { batchWindow, maxBatch, onBatch: onBatch(one.name) }))
    }
    return new ExplainService(opened, settings)
  }

  /**
   * @param bytes of an image file; never a path
   * @throws GradCamError, or the reason of the signal
   */
  async explain(ask: Ask, bytes: Uint8Array, signal: AbortSignal): Promise<Answer> {
    const plan = this.#plan(ask)
    return await this.#withImage(plan.model, bytes, { signal, keep: false }, (image) => answer(plan, image, signal))
  }

  /** The same as one overlay over the image. */
  async draw(
    ask: Ask & { readonly format: keyof typeof overlayFormats; readonly alpha: number },
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<DrawnAnswer> {
    const plan = this.#plan(ask)
    if (countOf(plan) > 1)
      throw new GradCamError('ERR_INVALID_ARGUMENT', `An image shows one map, but ${countOf(plan)} are asked for.`, {
        remedy: 'Ask for one method, layer and target, or for the format json.',
      })
    return await this.#withImage(plan.model, bytes, { signal, keep: true }, async (image) => {
      const { maps } = await answer(plan, image, signal)
      const [map] = maps as readonly [AnswerMap]
      const drawable = { id: 'image', map: map.values, image: image.pixels, framing: image.framing }
      const { format, alpha } = ask
      const drawn = await this.#inStage(signal, () => encodeMap(drawable, overlayFormats[format], { alpha }))
      return { bytes: drawn, map }
    })
  }

  async close(): Promise<void> {
    this.#memory.close(new GradCamError('ERR_ABORTED', 'The server was closed.'))
    await Promise.all([...this.models.values()].map((model) => model.close()))
    while (this.#tasks.size > 0) await Promise.all(this.#tasks)
  }

  /** The method of requests that name none. */
  get #usual(): MethodName {
    const offered = this.settings.methods
    return offered.includes('gradcam') ? 'gradcam' : (offered[0] as MethodName)
  }

  /** Checks everything that can be checked before the image is decoded. */
  #plan(ask: Ask): Plan {
    const model = findModel(this.models, ask.model)
    const { method: names = [this.#usual], target: targets = ['argmax'], layer } = ask
    for (const name of names)
      if (!this.settings.methods.includes(name))
        throw new GradCamError('ERR_METHOD', `This server does not offer the method ${name}.`, {
          remedy: 'GET /v1/methods lists what it offers.',
        })
    const layered = names.filter((name) => methods[name].layered)
    if (layer && layered.length === 0)
      throw invalid('layer', `left out for ${names.join(', ')}, which take none`, layer)
    const layers = layer ?? (model.layer === null ? [] : [model.layer])
    if (layered.length > 0 && layers.length === 0)
      throw invalid(
        'layer',
        `the path of a layer for ${layered.join(', ')}: the model has no layer by default`,
        undefined,
      )
    for (const path of layers) model.model.checkLayer(path)
    const plan = { model, names, layers, targets: targets.map((target) => readTarget(target, model)) }
    if (countOf(plan) > mostMaps)
      throw new GradCamError(
        'ERR_INVALID_ARGUMENT',
        `A request may ask for ${mostMaps} maps, but this one asks for ${countOf(plan)}.`,
        {
          remedy: 'Send several requests.',
        },
      )
    return plan
  }

  /** Decodes an image, and keeps its place in the memory budget while its pixels are used. */
  async #withImage<Result>(
    model: ServedModel,
    bytes: Uint8Array,
    { signal, keep }: { readonly signal: AbortSignal; readonly keep: boolean },
    use: (image: DecodedImage) => Promise<Result>,
  ): Promise<Result> {
    const index = this.#next++
    const { limits } = this.settings
    const item = { index, id: 'image', source: bytes, tensor: null, target: 0 }
    const reserve = (size: number): Promise<void> => this.#memory.take(index, size)
    const {
      settings: { preprocess },
      expected,
    } = model
    const options = { preprocess, expected, limits, sha256: false, reserve, signal }
    try {
      const image = await this.#inStage(signal, async () => toDecoded(await prepare(item, options), model, keep))
      using _input = image.input
      if (!keep) this.#memory.release(index)
      return await use(image)
    } finally {
      this.#memory.release(index)
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

const countOf = ({ names, layers, targets }: Plan): number =>
  targets.length * names.reduce((sum, name) => sum + (methods[name].layered ? layers.length : 1), 0)

function readTarget(target: string | number | TargetData, { settings: { labels } }: ServedModel): BatchTarget {
  const read = typeof target === 'string' ? parseTarget(target, labels) : target
  if (typeof target === 'object' && 'mask' in target && !Array.isArray(target.mask))
    throw new GradCamError('ERR_TARGET', `${show(target)} is not a target: its mask must be nested arrays.`)
  checkBatchTarget(read)
  return read
}

function toDecoded({ input, image, framing }: Prepared, { shape }: ServedModel, keep: boolean): DecodedImage {
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

async function answer(
  { model, names, layers, targets }: Plan,
  image: DecodedImage,
  signal: AbortSignal,
): Promise<Answer> {
  const keys = laneKeys(names, layers)
  const found = await Promise.all(
    targets.map(async (target) => ({
      target,
      parts: await Promise.all(keys.map((key) => model.lane(key).explain(image.input, target, signal))),
    })),
  )
  const parts = found.flatMap((one) => one.parts)
  const { top, outputs, notes } = parts[0] as ExplainedMaps
  const { size, framing } = image
  // In the order of the request, which lanes do not keep.
  const maps = names.flatMap((method) =>
    (methods[method].layered ? layers : [null]).flatMap((layer) =>
      found.flatMap((one) =>
        one.parts.flatMap((part) =>
          part.maps
            .filter((map) => map.method === method && map.layer === layer)
            .map((map) => ({ ...map, target: one.target, class: part.target, score: part.score })),
        ),
      ),
    ),
  )
  const warnings = [...new Set(parts.flatMap((part) => part.warnings))]
  return { model, size, region: seenRegion(size, framing), outputs, top, maps, notes, warnings }
}
