import { GradCam } from '../grad-cam.js'
import { GuidedBackprop } from '../guided-backprop.js'
import { interpolate } from '../interpolate.js'
import { denormalize, loadImage, normalize, overlay, type Normalization } from '../pictures/index.js'
import type { ScriptModule } from '../script-module.js'
import { Tensor, tidy } from '../tensor.js'
import { disposeValue, type Value } from '../values.js'
import type { TargetChoice } from './labels.js'
import { refusedInput } from './refused-input.js'

export const methods = ['gradcam', 'guided-backprop', 'guided-gradcam'] as const
export type Method = (typeof methods)[number]

/** The pictures that each method makes, by the names that their files end in. */
export const kindsOf: Readonly<Record<Method, readonly string[]>> = {
  gradcam: ['gcam', 'overlay'],
  'guided-backprop': ['grad'],
  'guided-gradcam': ['mixed'],
}

/** One explanation of one picture. Its pictures belong to whoever is given it. */
export interface Finding {
  /** Null for guided backprop, which looks at no layer. */
  readonly layer: string | null
  readonly target: TargetChoice
  /** The class that the target was. */
  readonly class: number
  readonly score: number
  /** How many numbers the model returned: one for a regression. */
  readonly outputs: number
  /** The pixel where a Grad-CAM map is greatest; null where it is zero everywhere; absent for the other methods. */
  readonly peak?: { readonly x: number; readonly y: number } | null
  /** How many ReLUs were guided; absent for Grad-CAM. */
  readonly relus?: number
  /** [1, 1 or 3, H, W] in [0, 1], by kind. */
  readonly pictures: Readonly<Record<string, Tensor>>
}

/** Explains pictures one after another. */
export class PictureExplainer implements Disposable {
  readonly #gradCam: GradCam | null
  readonly #guided: GuidedBackprop | null

  constructor(
    model: ScriptModule,
    method: Method,
    private readonly layers: readonly string[],
    private readonly size: readonly [number, number],
    private readonly normalization: Normalization | false,
  ) {
    // Making a split takes as long as explaining several pictures; for many of them there is `gradcam batch`.
    this.#gradCam = method === 'guided-backprop' ? null : new GradCam(model, layers, { execution: 'hooked' })
    this.#guided = method === 'gradcam' ? null : new GuidedBackprop(model)
  }

  /** Reads a picture and explains it for each target at each layer: one forward pass, one backward pass per target. */
  async *explain(image: string, targets: readonly TargetChoice[]): AsyncGenerator<Finding> {
    using input = await loadImage(image, { size: this.size, normalize: this.normalization })
    using pixels = this.normalization ? denormalize(input, this.normalization) : input.detach()
    let outputs = 0
    for (const explainer of [this.#gradCam, this.#guided]) {
      if (explainer) outputs = await forward(explainer, input)
    }
    for (const target of targets) yield* this.#findings(pixels, target, outputs)
  }

  async *#findings(pixels: Tensor, target: TargetChoice, outputs: number): AsyncGenerator<Finding> {
    const cam = await this.#gradCam?.backward(target)
    const guided = await this.#guided?.backward(target)
    const { targets, scores } = (cam ?? guided)!
    const found = { target, outputs, class: targets[0] ?? 0, score: scores[0] ?? 0 }
    using gradient = this.#guided && this.#gradient(this.#guided)
    const relus = this.#guided ? { relus: this.#guided.intercepted } : {}

    if (!this.#gradCam) {
      yield { ...found, ...relus, layer: null, pictures: { grad: normalize(gradient!) } }
      return
    }
    for (const layer of this.layers) {
      using map = this.#map(this.#gradCam, layer)
      if (gradient) {
        const mixed = tidy(() => normalize(map.mul(gradient)))
        yield { ...found, ...relus, layer, pictures: { mixed } }
      } else {
        const gcam = normalize(map)
        yield { ...found, layer, peak: peakOf(map), pictures: { gcam, overlay: overlay(pixels, map) } }
      }
    }
  }

  /** [1, 1, H, W] on the CPU, of the picture's size. */
  #map(gradCam: GradCam, layer: string): Tensor {
    return tidy(() => interpolate(gradCam.get(layer).to({ device: 'cpu', dtype: 'float32' }), this.size))
  }

  /** [1, 1, H, W] on the CPU: the mean over the channels, as the reference shows it. */
  #gradient(guided: GuidedBackprop): Tensor {
    return tidy(() => guided.get().to({ device: 'cpu', dtype: 'float32' }).mean(1, true))
  }

  [Symbol.dispose](): void {
    this.#gradCam?.dispose()
    this.#guided?.dispose()
  }
}

/** The number of elements of the model's output; 0 for one that is no tensor. */
async function forward(explainer: GradCam | GuidedBackprop, input: Tensor): Promise<number> {
  const output = await explainer.forward<Value>(input).catch((error: unknown) => {
    throw refusedInput(error, input.shape)
  })
  const size = output instanceof Tensor ? output.size : 0
  disposeValue(output)
  return size
}

function peakOf(map: Tensor): { x: number; y: number } | null {
  const [, , , width = 1] = map.shape
  const at = tidy(() => (map.amax([0, 1, 2, 3]).item() > 0 ? map.flatten().argmax().item() : -1))
  return at < 0 ? null : { x: at % width, y: Math.floor(at / width) }
}
