import { announceWarnings } from '../addon/warnings.js'
import { methods, type MethodName } from '../methods/table.js'
import { makeMapExplainers, type MethodMap, type MethodMaps, type MapExplainer } from '../methods/map-explainer.js'
import type { MethodSettings } from '../methods/options.js'
import type { MapCondition } from '../explain/condition.js'
import type { Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import { disposeValue, type Value } from '../tensor/values.js'
import type { ClassTarget } from '../target/labels.js'
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

const isFine = (method: MethodName): boolean => ['InputAttribution', 'GuidedGradCam'].includes(methods[method].by)

/** One explanation of one image. The caller disposes its images. */
export interface Finding {
  readonly method: MethodName
  /** Null for a method that requires no layer. */
  readonly layer: string | null
  readonly target: ClassTarget
  /** The class that was explained. */
  readonly class: number
  readonly score: number
  /** How many numbers the model returned: one for a regression. */
  readonly outputs: number
  /** The pixel where the map is greatest; null where no value is above 0; absent for maps that differ from pixel to pixel. */
  readonly peak?: { readonly x: number; readonly y: number } | null
  /** Whether the map says something, and if not, why. */
  readonly condition: MapCondition
  /** How many ReLUs were guided; absent for methods without a rule for them. */
  readonly relus?: number
  /** The sum of the attributions less the change of the score; absent for methods that do not compute it. */
  readonly delta?: number
  /** [height, width] of the model's input. */
  readonly size: readonly [number, number]
  /** PNG files, by kind. */
  readonly images: Readonly<Record<string, Buffer>>
}

export interface ImageExplainerOptions extends FrameImageOptions {
  readonly methods: readonly MethodName[]
  /** For the methods that require one: at least one then. */
  readonly layers: readonly string[]
  readonly settings: MethodSettings
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
    const settings: MethodSettings = { execution: 'hooked', ...options.settings }
    this.#explainers = makeMapExplainers(model, options.methods, options.layers, settings)
  }

  /** Reads an image and explains it for each target at each layer by each method, with as few passes as that takes. */
  async *explain(image: string, targets: readonly ClassTarget[]): AsyncGenerator<Finding> {
    using framed = await frameFile(image, this.#options)
    const { input } = framed
    const running = this.#explainers.map((explainer) => explainer.explainEach(input, targets))
    try {
      for (const target of targets)
        for (const run of running) {
          const next = await run.next().catch((failure: unknown) => this.#fail(failure, input))
          if (!next.done) yield* this.#findings(framed, target, next.value)
        }
    } finally {
      for (const run of running) await run.return()
    }
  }

  async *#findings(
    framed: FramedImage,
    target: ClassTarget,
    { output, targets, scores, maps, warnings }: MethodMaps,
  ): AsyncGenerator<Finding> {
    const outputs = output instanceof Tensor ? output.size : 0
    announceWarnings(warnings)
    const found = { target, outputs, class: targets[0] ?? 0, score: scores[0] ?? 0 }
    try {
      for (const one of maps) yield { ...found, ...(await this.#draw(one, framed)) }
    } finally {
      disposeValue(output)
      for (const { map } of maps) map.dispose()
    }
  }

  async #draw({ method, layer, map, intercepted, delta, conditions }: MethodMap, framed: FramedImage) {
    const { files, peak } = await framed.draw(map, kindsOf(method))
    const [, , height = 0, width = 0] = framed.input.shape
    return {
      method,
      layer,
      condition: conditions[0] ?? { state: 'ok' as const, reason: null },
      ...(isFine(method) ? {} : { peak }),
      ...(intercepted === null ? {} : { relus: intercepted }),
      ...(delta?.[0] === undefined ? {} : { delta: delta[0] }),
      size: [height, width] as const,
      images: files,
    }
  }

  /** Tells an error of the method from an input that the model does not run on. */
  async #fail(failure: unknown, input: Tensor): Promise<never> {
    const output = await this.model.forward<Value>(input).catch((cause: unknown) => {
      throw refusedInput(cause, input.shape)
    })
    disposeValue(output)
    throw failure
  }

  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void {
    for (const explainer of this.#explainers) explainer[Symbol.dispose]()
  }
}
