import { Cam, type CamOptions } from '../cam/cam.js'
import type { CamMethod } from '../cam/cam-methods.js'
import { expect } from '../base/check.js'
import { conditionsOfTensor } from '../explain/tensor-conditions.js'
import type { ExplainOptions } from '../explain/explained.js'
import { AttributionExplanation, type ExplanationFields } from '../explain/explanation.js'
import { joinWarnings } from '../explain/warnings.js'
import { resizeSpatial } from '../tensor/interpolate.js'
import type { Reshape } from '../cam/reshape.js'
import type { Model } from '../model/model.js'
import type { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { hasChannelsLast } from '../model/expected-input.js'
import { disposeValue, type Value } from '../tensor/values.js'
import { fixedTarget } from '../target/fixed-target.js'
import { InputAttribution } from './input-attribution.js'

/** What {@link GuidedGradCam} has to be told: the layer, and how its map is made. */
export interface GuidedGradCamOptions {
  /** The path of the layer whose map is taken. */
  readonly layer: string
  /** The map; Grad-CAM by default. */
  readonly method?: CamMethod
  /**
   * How the map is upsampled: 'bilinear' (the default; linear along each spatial dimension, of which there may be one to
   * three), or 'nearest' as Captum does.
   */
  readonly mode?: 'bilinear' | 'nearest'
  readonly reshape?: Reshape
  /** See `CamOptions.part`. */
  readonly part?: NonNullable<CamOptions['part']>
  /** See `CamOptions.call`. */
  readonly call?: number
  /** Which of the model's inputs the result is of, from 0, where there are several; the first by default. */
  readonly input?: number
  /** See {@link GuidedBackpropOptions}. */
  readonly scope?: 'all' | 'modules'
}

/**
 * Guided Grad-CAM: guided backprop's gradient times the map of a layer, upsampled to the input: fine detail where the layer
 * saw evidence. Selvaraju et al. 2017, arXiv:1610.02391, section 3.2.
 */
export class GuidedGradCam implements Disposable {
  readonly #cam: Cam
  readonly #guided: InputAttribution
  readonly #mode: 'bilinear' | 'nearest'
  readonly #input: number

  /** @throws GradCamError ERR_LAYER_NOT_FOUND, ERR_LAYER_NOT_HOOKABLE, ERR_MODEL_FROZEN, ERR_INVALID_ARGUMENT */
  constructor(model: Model, options: GuidedGradCamOptions) {
    const { layer, method = 'gradcam', mode = 'bilinear', scope = 'all', ...more } = expect.options(options)
    const { reshape, part, call, input } = more
    expect.string('layer', layer, 'the path of a layer')
    this.#mode = expect.oneOf('mode', mode, ['bilinear', 'nearest'])
    const at = input === undefined ? {} : { input }
    this.#input = input ?? 0
    this.#guided = new InputAttribution(model, { method: 'guided-backprop', scope, ...at })
    const which = {
      ...(reshape !== undefined && { reshape }),
      ...(part !== undefined && { part }),
      ...(call !== undefined && { call }),
    }
    this.#cam = new Cam(model, { layers: [layer], methods: [method], ...which, ...at })
  }

  /** Everything in one call: one pass for the map, one for the gradient, both of the same classes. */
  async explain<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    options: ExplainOptions<Output> = {},
  ): Promise<GuidedGradCamExplanation<Output>> {
    expect.options(options)
    using map = await this.#cam.explain(inputs, options)
    const target = fixedTarget(options.target, map.targets, 1)
    const guided = await this.#guided.explain(inputs, { ...options, target })
    try {
      const mode = this.#mode === 'nearest' ? 'nearest' : 'linear'
      const { targets, scores } = map
      const { model } = this.#cam
      const { shape } = guided.attribution
      const last = hasChannelsLast(model, this.#input, shape)
      using large = await resizeSpatial(map.cam, last ? shape.slice(1, 3) : shape.slice(2), mode, options)
      const attribution = tidy(() => guided.attribution.mul(last ? large.permute([0, 2, 3, 1]) : large))
      const intercepted = guided.intercepted as number
      const own = await conditionsOfTensor(attribution, model, { scores, gradient: true, from: 'ruled' }, options)
      // Where the map of the layer says nothing, its reason is nearer to the cause.
      const ofMap = map.maps[0]?.conditions ?? []
      const conditions = own.map((condition, i) => {
        const nearer = ofMap[i]
        if (nearer?.state === 'rounding') return nearer
        return condition.state === 'zero' && nearer?.state === 'zero' ? nearer : condition
      })
      const { output } = guided
      const warnings = joinWarnings(map.warnings, guided.warnings)
      const calls = map.maps[0]?.calls ?? 1
      const found = { model, output, attribution, targets, scores, intercepted, calls, conditions, warnings }
      return new GuidedGradCamExplanation(map.of ? { ...found, of: map.of } : found)
    } catch (error) {
      disposeValue(guided.output)
      throw error
    } finally {
      guided.attribution.dispose()
    }
  }

  /** Frees all that it holds. The model stays as it was. Safe to call again. */
  dispose(): void {
    this.#cam.dispose()
    this.#guided.dispose()
  }

  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}

type GuidedGradCamFields<Output extends Value> = ExplanationFields<Output> & {
  readonly attribution: Tensor
  readonly intercepted: number
  readonly calls: number
}

/** What {@link GuidedGradCam.explain} found. Owns its tensors. */
export class GuidedGradCamExplanation<Output extends Value = Tensor> extends AttributionExplanation<Output> {
  /** How many ReLUs followed the rule. */
  readonly intercepted: number
  /** How often the pass called the layer. The last call is explained, unless `call` says which. */
  readonly calls: number

  /** @internal */
  constructor(found: GuidedGradCamFields<Output>) {
    super(found)
    this.intercepted = found.intercepted
    this.calls = found.calls
  }
}
