import { announceWarnings } from '../addon/warnings.js'
import { interpolate } from '../tensor/interpolate.js'
import { methods, type MethodName } from '../methods/table.js'
import { makeMapExplainers, type MethodMap, type MethodMaps, type MapExplainer } from '../methods/map-explainer.js'
import type { MethodSettings } from '../methods/options.js'
import { normalize, overlay, type Normalization } from '../images/index.js'
import type { MapCondition } from '../explain/condition.js'
import type { Model } from '../model/model.js'
import { Tensor, tidy } from '../tensor/tensor.js'
import { disposeValue, type Value } from '../tensor/values.js'
import { toNpy } from '../batch/npy.js'
import type { BatchTarget } from '../batch/target.js'
import { outputPart } from '../target/top-classes.js'
import { toPath } from '../target/path.js'
import type { LoadedInputs } from './model-inputs.js'
import { readInput } from './read-input.js'
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
  readonly target: BatchTarget
  /** The class that was explained; null where the target is not a class, or the method needs none. */
  readonly class: number | null
  /** Null where the method needs no target and the output has no class. */
  readonly score: number | null
  /** The part of the output that was taken where none was named; null where the output is one tensor. */
  readonly of: readonly (string | number)[] | null
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
  /** The map as the bytes of a .npy file, where the input is not an image. */
  readonly array?: Buffer
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
  /** The model's other inputs, and what it expects of the images. */
  readonly inputs: LoadedInputs
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

  /** Reads an image and explains it for each target at each layer by each method, with as few passes as that takes. */
  async *explain(image: string, targets: readonly BatchTarget[]): AsyncGenerator<Finding> {
    const { size, normalization, svg, inputs } = this.#options
    using read = await readInput(image, { size, normalization, svg, expected: inputs.expected })
    const { input, pixels } = read
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

  *#findings(
    pixels: Tensor | null,
    target: BatchTarget,
    { output, targets, scores, maps, warnings, of }: MethodMaps,
  ): Generator<Finding> {
    const named = typeof target === 'object' ? toPath(target.of) : undefined
    const part = outputPart(output, named ?? of ?? [])
    const outputs = part instanceof Tensor ? part.size : 0
    announceWarnings(warnings)
    const [chosen = -1] = targets
    const found = { target, outputs, class: chosen < 0 ? null : chosen, score: scores[0] ?? null, of: of ?? null }
    try {
      for (const one of maps) yield { ...found, ...this.#draw(one, pixels) }
    } finally {
      disposeValue(output)
      for (const { map } of maps) map.dispose()
    }
  }

  #draw({ method, layer, map, intercepted, delta, conditions }: MethodMap, pixels: Tensor | null) {
    using near = map.to({ device: 'cpu', dtype: 'float32' })
    const common = {
      method,
      layer,
      condition: conditions[0] ?? { state: 'ok' as const, reason: null },
      ...(intercepted === null ? {} : { relus: intercepted }),
      ...(delta?.[0] === undefined ? {} : { delta: delta[0] }),
    }
    if (!pixels || near.shape.length !== 4)
      return { ...common, images: {}, array: toNpy(near.toTypedArray() as Float32Array, near.shape.slice(2)) }
    const [, , height, width] = pixels.shape as [number, number, number, number]
    using large = tidy(() => interpolate(near, [height, width]))
    const draw = (kind: string) => (kind === 'overlay' ? overlay(pixels, large) : normalize(large))
    return {
      ...common,
      ...(isFine(method) ? {} : { peak: peakOf(large) }),
      images: Object.fromEntries(kindsOf(method).map((kind) => [kind, draw(kind)])),
    }
  }

  /** Tells an error of the method from an input that the model does not run on. */
  async #fail(failure: unknown, input: Tensor): Promise<never> {
    const output = await this.model.forward<Value>(this.#options.inputs.with(input)).catch((cause: unknown) => {
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

function peakOf(map: Tensor): { x: number; y: number } | null {
  const [, , , width = 1] = map.shape
  const at = tidy(() => (map.amax([0, 1, 2, 3]).item() > 0 ? map.flatten().argmax().item() : -1))
  return at < 0 ? null : { x: at % width, y: Math.floor(at / width) }
}
