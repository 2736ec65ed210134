import { announceWarnings } from '../addon/warnings.js'
import { isFine, type MethodName } from '../methods/table.js'
import { makeMapExplainers } from '../methods/map-explainer.js'
import type { MapExplainer, MethodFailure, MethodMap, MethodMaps } from '../methods/method-maps.js'
import type { MethodSettings } from '../methods/options.js'
import { hasPeak, type MapCondition } from '../explain/condition.js'
import type { Model } from '../model/model.js'
import { runAtOnce } from '../model/learn-images-at-once.js'
import { runOnce } from '../model/run-once.js'
import { Tensor } from '../tensor/tensor.js'
import { disposeValue, type Value } from '../tensor/values.js'
import type { BatchTarget } from '../batch/target.js'
import { outputPart } from '../target/top-classes.js'
import { toPath } from '../target/path.js'
import type { ExplainProgress } from './explain-progress.js'
import type { LoadedInputs } from './model-inputs.js'
import { frameFile, type FramedImage, type FrameImageOptions } from './framed-image.js'
import { refusedInput } from '../model/refused-input.js'

const ownKinds: Partial<Record<MethodName, readonly string[]>> = {
  gradcam: ['gcam', 'overlay'],
  'guided-backprop': ['grad'],
  'guided-gradcam': ['mixed'],
}

/**
 * The images that a method makes, by the endings of their files: the map in grey, and as an overlay in colours where it is
 * coarser than the image. A map that differs from pixel to pixel would hide the image.
 */
export function kindsOf(method: MethodName): readonly string[] {
  return ownKinds[method] ?? (isFine(method) ? ['map'] : ['map', 'overlay'])
}

/** One explanation of one image. The caller disposes its images. */
export interface Finding {
  readonly method: MethodName
  /** Null for a method that requires no layer. */
  readonly layer: string | null
  readonly target: BatchTarget
  /** The class that was explained; null where the target is not a class, or the method needs none. */
  readonly class: number | null
  /** Null where the method needs no target and the output has no class. */
  readonly score: number | null
  /** The part of the output that was taken where none was named; null where the output is one tensor. */
  readonly of: readonly (string | number)[] | null
  /** How many numbers the model returned: one for a regression. */
  readonly outputs: number
  /** The pixel where the map is greatest; null where no value is above 0, or a greatest one says nothing; absent for maps that differ from pixel to pixel. */
  readonly peak?: { readonly x: number; readonly y: number } | null
  /** Whether the map says something, and if not, why. */
  readonly condition: MapCondition
  /** How often the pass called the layer, where that is more than once. */
  readonly calls?: number
  /** How many ReLUs were guided; absent for methods without a rule for them. */
  readonly relus?: number
  /** The sum of the attributions less the change of the score; absent for methods that do not compute it. */
  readonly delta?: number
  /** [height, width] of the model's input. */
  readonly size: readonly [number, number]
  /** PNG files, by kind. */
  readonly images: Readonly<Record<string, Buffer>>
  /** The map as the bytes of a .npy file, where the input is not an image. */
  readonly array?: Buffer
}

export interface ImageExplainerOptions extends FrameImageOptions {
  readonly methods: readonly MethodName[]
  /** For the methods that require one: at least one then. */
  readonly layers: readonly string[]
  readonly settings: MethodSettings
  /** The model's other inputs, and what it expects of the images. */
  readonly inputs: LoadedInputs
  /** Is told what is explained, and how far it is. */
  readonly progress: ExplainProgress
}

/** Explains images one after another. */
export class ImageExplainer implements Disposable {
  readonly #explainers: readonly MapExplainer[]
  readonly #options: ImageExplainerOptions

  constructor(
    private readonly model: Model,
    options: ImageExplainerOptions,
  ) {
    this.#options = options
    // Making a split takes as long as explaining several images; for many of them there is `gradcam batch`.
    const { values } = options.inputs
    const settings: MethodSettings = { execution: 'hooked', ...options.settings, ...(values && { inputs: values }) }
    this.#explainers = makeMapExplainers(model, options.methods, options.layers, settings)
  }

  /** How many calls of the model's explainers one image and target take: methods that share their passes are one. */
  get explainers(): number {
    return this.#explainers.length
  }

  /**
   * Reads an image and explains it for each target at each layer by each method, with as few passes as that takes.
   *
   * @param onFailure called with a method that fails while others do not; where all fail, the first error is thrown
   */
  async *explain(
    image: string,
    targets: readonly BatchTarget[],
    onFailure: (failure: MethodFailure) => void,
  ): AsyncGenerator<Finding> {
    const { inputs, progress } = this.#options
    const { expected } = inputs
    using framed = await frameFile(image, { ...this.#options, expected })
    const { input } = framed
    const running = this.#explainers.map((explainer) => ({
      own: explainer.methods,
      run: explainer.explainEach(input, targets, (done, total) => progress.runs(done, total)),
    }))
    const failures = new Map<MethodName, unknown>()
    let found = 0
    try {
      for (const target of targets)
        for (const [explainer, { own, run }] of running.entries()) {
          progress.begin({ image, methods: own, explainer })
          const next = await run.next().catch(async (error: unknown) => {
            await this.#requireInput(input)
            for (const method of own) failures.set(method, error)
          })
          if (next && !next.done) {
            for (const { method, error } of next.value.failures) failures.set(method, error)
            found++
            yield* this.#findings(framed, target, next.value)
          }
          progress.end()
        }
    } finally {
      for (const { run } of running) await run.return()
    }
    for (const [method, error] of failures) {
      if (found === 0) throw error
      onFailure({ method, error })
    }
  }

  async *#findings(
    framed: FramedImage,
    target: BatchTarget,
    { output, targets, scores, maps, warnings, of }: MethodMaps,
  ): AsyncGenerator<Finding> {
    const named = typeof target === 'object' ? toPath(target.of) : undefined
    const part = outputPart(output, named ?? of ?? [])
    const outputs = part instanceof Tensor ? part.size : 0
    announceWarnings(warnings)
    const [chosen = -1] = targets
    const found = { target, outputs, class: chosen < 0 ? null : chosen, score: scores[0] ?? null, of: of ?? null }
    try {
      for (const one of maps) yield { ...found, ...(await this.#draw(one, framed)) }
    } finally {
      disposeValue(output)
      for (const { map } of maps) map.dispose()
    }
  }

  async #draw({ method, layer, map, intercepted, delta, conditions, calls }: MethodMap, framed: FramedImage) {
    const { files, peak, array } = await framed.draw(map, kindsOf(method))
    const [height = 1, width = 1] = framed.input.shape.slice(-2)
    const condition = conditions[0] ?? { state: 'ok' as const, reason: null }
    return {
      method,
      layer,
      condition,
      ...(isFine(method) || array ? {} : { peak: hasPeak(condition) ? peak : null }),
      ...(calls !== null && calls > 1 && { calls }),
      ...(intercepted === null ? {} : { relus: intercepted }),
      ...(delta?.[0] === undefined ? {} : { delta: delta[0] }),
      size: [height, width] as const,
      images: files,
      ...(array && { array }),
    }
  }

  /** Tells an error of a method from an input that the model does not run on. */
  async #requireInput(input: Tensor): Promise<void> {
    const all = this.#options.inputs.with(input)
    const run = async (values: readonly Value[]): Promise<void> => disposeValue(await runOnce(this.model, values))
    await runAtOnce(this.model, all, run).catch(async (cause: unknown) => {
      throw await refusedInput(cause, this.model, all, this.#options.inputs.at)
    })
  }

  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void {
    for (const explainer of this.#explainers) explainer[Symbol.dispose]()
  }
}
