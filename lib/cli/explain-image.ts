import { announceWarnings } from '../addon/warnings.js'
import { interpolate } from '../tensor/interpolate.js'
import { methods, type MethodName } from '../methods/table.js'
import {
  makeMapExplainers,
  type MapExplainer,
  type MethodFailure,
  type MethodMap,
  type MethodMaps,
} from '../methods/map-explainer.js'
import type { MethodSettings } from '../methods/options.js'
import { denormalize, loadImage, normalize, overlay, type Normalization } from '../images/index.js'
import type { MapCondition } from '../explain/condition.js'
import type { Model } from '../model/model.js'
import { Tensor, tidy } from '../tensor/tensor.js'
import { disposeValue, type Value } from '../tensor/values.js'
import type { ClassTarget } from '../target/labels.js'
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
  /** [1, 1 or 3, H, W] in [0, 1], by kind. */
  readonly images: Readonly<Record<string, Tensor>>
}

export interface ImageExplainerOptions {
  readonly methods: readonly MethodName[]
  /** For the methods that require one: at least one then. */
  readonly layers: readonly string[]
  readonly settings: MethodSettings
  /** [height, width] that images are resized to. */
  readonly size: readonly [number, number]
  readonly normalization: Normalization | false
  /** Whether images may be SVG. */
  readonly svg: boolean
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

  /**
   * Reads an image and explains it for each target at each layer by each method, with as few passes as that takes.
   *
   * @param onFailure called with a method that fails while others do not; where all fail, the first error is thrown
   */
  async *explain(
    image: string,
    targets: readonly ClassTarget[],
    onFailure: (failure: MethodFailure) => void,
  ): AsyncGenerator<Finding> {
    const { size, normalization, svg } = this.#options
    using input = await loadImage(image, { size, normalize: normalization, svg })
    using pixels = normalization ? denormalize(input, normalization) : input.detach()
    const running = this.#explainers.map((explainer) => ({
      own: explainer.methods,
      run: explainer.explainEach(input, targets),
    }))
    const failures = new Map<MethodName, unknown>()
    let found = 0
    try {
      for (const target of targets)
        for (const { own, run } of running) {
          const next = await run.next().catch(async (error: unknown) => {
            await this.#requireInput(input)
            for (const method of own) failures.set(method, error)
          })
          if (!next || next.done) continue
          for (const { method, error } of next.value.failures) failures.set(method, error)
          found++
          yield* this.#findings(pixels, target, next.value)
        }
    } finally {
      for (const { run } of running) await run.return()
    }
    for (const [method, error] of failures) {
      if (found === 0) throw error
      onFailure({ method, error })
    }
  }

  *#findings(
    pixels: Tensor,
    target: ClassTarget,
    { output, targets, scores, maps, warnings }: MethodMaps,
  ): Generator<Finding> {
    const outputs = output instanceof Tensor ? output.size : 0
    announceWarnings(warnings)
    const found = { target, outputs, class: targets[0] ?? 0, score: scores[0] ?? 0 }
    try {
      for (const one of maps) yield { ...found, ...this.#draw(one, pixels) }
    } finally {
      disposeValue(output)
      for (const { map } of maps) map.dispose()
    }
  }

  #draw({ method, layer, map, intercepted, delta, conditions }: MethodMap, pixels: Tensor) {
    using large = tidy(() => interpolate(map.to({ device: 'cpu', dtype: 'float32' }), this.#options.size))
    const draw = (kind: string) => (kind === 'overlay' ? overlay(pixels, large) : normalize(large))
    return {
      method,
      layer,
      condition: conditions[0] ?? { state: 'ok' as const, reason: null },
      ...(isFine(method) ? {} : { peak: peakOf(large) }),
      ...(intercepted === null ? {} : { relus: intercepted }),
      ...(delta?.[0] === undefined ? {} : { delta: delta[0] }),
      images: Object.fromEntries(kindsOf(method).map((kind) => [kind, draw(kind)])),
    }
  }

  /** Tells an error of a method from an input that the model does not run on. */
  async #requireInput(input: Tensor): Promise<void> {
    const output = await this.model.forward<Value>(input).catch((cause: unknown) => {
      throw refusedInput(cause, input.shape)
    })
    disposeValue(output)
  }

  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void {
    for (const explainer of this.#explainers) explainer[Symbol.dispose]()
  }
}

function peakOf(map: Tensor): { x: number; y: number } | null {
  const [, , , width = 1] = map.shape
  const at = tidy(() => (map.amax([0, 1, 2, 3]).item() > 0 ? map.flatten().argmax().item() : -1))
  return at < 0 ? null : { x: at % width, y: Math.floor(at / width) }
}
