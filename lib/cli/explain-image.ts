import { interpolate } from '../tensor/interpolate.js'
import { methods, type MethodName } from '../methods/table.js'
import { makeMapExplainers, type FoundMap, type FoundMaps, type MapExplainer } from '../methods/map-explainer.js'
import type { MethodSettings } from '../methods/options.js'
import { denormalize, loadImage, normalize, overlay, type Normalization } from '../images/index.js'
import type { Model } from '../model/model.js'
import { Tensor, tidy } from '../tensor/tensor.js'
import { disposeValue, type Value } from '../tensor/values.js'
import type { TargetChoice } from '../target/labels.js'
import { refusedInput } from '../model/refused-input.js'

const ownKinds: Partial<Record<MethodName, readonly string[]>> = {
  gradcam: ['gcam', 'overlay'],
  'guided-backprop': ['grad'],
  'guided-gradcam': ['mixed'],
}

/**
 * The images that a method makes, by the names that their files end in: the map in grey, and over the image in colours
 * where it is coarser than the image; what differs from pixel to pixel would hide it.
 */
export function kindsOf(method: MethodName): readonly string[] {
  return ownKinds[method] ?? (isFine(method) ? ['map'] : ['map', 'overlay'])
}

const isFine = (method: MethodName): boolean => ['InputAttribution', 'GuidedGradCam'].includes(methods[method].by)

/** One explanation of one image. Its images belong to whoever is given it. */
export interface Finding {
  readonly method: MethodName
  /** Null for a method that looks at no layer. */
  readonly layer: string | null
  readonly target: TargetChoice
  /** The class that the target was. */
  readonly class: number
  readonly score: number
  /** How many numbers the model returned: one for a regression. */
  readonly outputs: number
  /** The pixel where a map is greatest; null where it is nowhere above zero; absent for what differs from pixel to pixel. */
  readonly peak?: { readonly x: number; readonly y: number } | null
  /** How many ReLUs were guided; absent for methods without a rule for them. */
  readonly relus?: number
  /** How far the attributions are from adding up to the change of the score; absent for methods that do not say. */
  readonly delta?: number
  /** [1, 1 or 3, H, W] in [0, 1], by kind. */
  readonly images: Readonly<Record<string, Tensor>>
}

/** Explains images one after another. */
export class ImageExplainer implements Disposable {
  readonly #explainers: readonly MapExplainer[]

  constructor(
    private readonly model: Model,
    names: readonly MethodName[],
    layers: readonly string[],
    settings: MethodSettings,
    private readonly size: readonly [number, number],
    private readonly normalization: Normalization | false,
  ) {
    // Making a split takes as long as explaining several images; for many of them there is `gradcam batch`.
    this.#explainers = makeMapExplainers(model, names, layers, { execution: 'hooked', ...settings })
  }

  /** Reads an image and explains it for each target at each layer by each method, with as few passes as that takes. */
  async *explain(image: string, targets: readonly TargetChoice[]): AsyncGenerator<Finding> {
    using input = await loadImage(image, { size: this.size, normalize: this.normalization })
    using pixels = this.normalization ? denormalize(input, this.normalization) : input.detach()
    const running = this.#explainers.map((explainer) => explainer.explainEach(input, targets))
    try {
      for (const target of targets)
        for (const run of running) {
          const next = await run.next().catch((failure: unknown) => this.#fail(failure, input))
          if (!next.done) yield* this.#findings(pixels, target, next.value)
        }
    } finally {
      for (const run of running) await run.return()
    }
  }

  *#findings(pixels: Tensor, target: TargetChoice, { output, targets, scores, maps }: FoundMaps): Generator<Finding> {
    const outputs = output instanceof Tensor ? output.size : 0
    const found = { target, outputs, class: targets[0] ?? 0, score: scores[0] ?? 0 }
    try {
      for (const one of maps) yield { ...found, ...this.#draw(one, pixels) }
    } finally {
      disposeValue(output)
      for (const { map } of maps) map.dispose()
    }
  }

  #draw({ method, layer, map, intercepted, delta }: FoundMap, pixels: Tensor) {
    using large = tidy(() => interpolate(map.to({ device: 'cpu', dtype: 'float32' }), this.size))
    const draw = (kind: string) => (kind === 'overlay' ? overlay(pixels, large) : normalize(large))
    return {
      method,
      layer,
      ...(isFine(method) ? {} : { peak: peakOf(large) }),
      ...(intercepted === null ? {} : { relus: intercepted }),
      ...(delta?.[0] === undefined ? {} : { delta: delta[0] }),
      images: Object.fromEntries(kindsOf(method).map((kind) => [kind, draw(kind)])),
    }
  }

  /** What went wrong may be the method or the model: whether the model takes the image at all tells. */
  async #fail(failure: unknown, input: Tensor): Promise<never> {
    const output = await this.model.forward<Value>(input).catch((cause: unknown) => {
      throw refusedInput(cause, input.shape)
    })
    disposeValue(output)
    throw failure
  }

  [Symbol.dispose](): void {
    for (const explainer of this.#explainers) explainer[Symbol.dispose]()
  }
}

function peakOf(map: Tensor): { x: number; y: number } | null {
  const [, , , width = 1] = map.shape
  const at = tidy(() => (map.amax([0, 1, 2, 3]).item() > 0 ? map.flatten().argmax().item() : -1))
  return at < 0 ? null : { x: at % width, y: Math.floor(at / width) }
}
