import type { NativeExplained, TensorHandle } from './addon/binding.js'
import { GradCamError } from './errors.js'
import {
  checkExecution,
  Explainer,
  type Execution,
  type ExecutionPath,
  type ExplainOptions,
  type Explained,
} from './explainer.js'
import type { ScriptModule } from './script-module.js'
import { Tensor } from './tensor.js'
import { disposeValue, type Value } from './values.js'

export interface GradCamOptions {
  execution?: Execution
  /**
   * What comes before the first target layer computes in it; the rest, and the map, in float32. 'bfloat16' is about twice
   * as fast on CPUs that have it (AVX512-BF16, AMX) and on GPUs, and moves maps slightly: docs/performance.md has figures.
   * Needs a float32 model that can be split. By default the model's own.
   */
  precision?: 'bfloat16' | 'float16'
}

type LayerTensor = 'activation' | 'gradient' | 'map'

/** A tensor of the caller's own on the same memory. */
const share = (handle: TensorHandle | null): Tensor => Tensor.own(handle as TensorHandle).detach()

function layerTensor(explained: NativeExplained, layers: readonly string[], layer: string, what: LayerTensor): Tensor {
  const index = layers.indexOf(layer)
  if (index < 0)
    throw new GradCamError(
      'ERR_LAYER_NOT_FOUND',
      `'${layer}' is not among the layers that this explainer was made for: ${layers.map((l) => `'${l}'`).join(', ')}.`,
    )
  return share(explained.layers[index]?.[what] ?? null)
}

/**
 * Grad-CAM: where the target layers saw evidence for the target.
 *
 * For an activation A and its gradient G, both [N, C, h, w], the map is max(sum_k w_k A_k, 0) with w_k the mean of G_k over
 * space. Selvaraju et al. 2017, arXiv:1610.02391. Maps have the layer's own size and are not normalised: see
 * {@link interpolate} and {@link normalize}. A layer that runs several times in one pass is explained at its last call.
 */
export class GradCam extends Explainer {
  readonly layers: readonly string[]

  /**
   * @param layers paths of target layers, each returning one floating-point tensor [N, C, h, w]; `model.namedModules()`
   *   lists them
   * @throws GradCamError ERR_LAYER_NOT_FOUND with the nearest names, ERR_LAYER_NOT_HOOKABLE, ERR_MODEL_FROZEN; at the first
   *   forward ERR_NOT_SPLITTABLE, where execution 'split' or a precision was asked for and the model cannot be split
   */
  constructor(model: ScriptModule, layers: readonly string[], { execution = 'auto', precision }: GradCamOptions = {}) {
    if (!Array.isArray(layers) || layers.length === 0)
      throw new GradCamError('ERR_INVALID_ARGUMENT', "GradCam needs an array of at least one layer, e.g. ['features'].")
    checkExecution(execution)
    if (precision !== undefined && precision !== 'bfloat16' && precision !== 'float16')
      throw new GradCamError(
        'ERR_INVALID_ARGUMENT',
        `There is no precision '${String(precision)}'. Use 'bfloat16' or 'float16', or none for the model's own.`,
      )
    super(model, { layers, method: 'gradcam', inputGradient: false, guided: 'none', execution, precision })
    this.layers = [...(layers as readonly string[])]
  }

  /** The map of a layer after `backward`: [N, 1, h, w], float32 or float64, for the caller to dispose. */
  get(layer: string): Tensor {
    return layerTensor(this.explained, this.layers, layer, 'map')
  }

  /** What the layer returned in the forward pass: [N, C, h, w]. */
  activation(layer: string): Tensor {
    return layerTensor(this.explained, this.layers, layer, 'activation')
  }

  /** The gradient of the score with respect to that: [N, C, h, w]. */
  gradient(layer: string): Tensor {
    return layerTensor(this.explained, this.layers, layer, 'gradient')
  }

  /**
   * Forward, backward and maps in one call, which may overlap with others.
   *
   * @returns all of it, to be disposed as one
   */
  async explain<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    options: ExplainOptions<Output> = {},
  ): Promise<GradCamExplanation<Output>> {
    const { output, explained, execution } = await this.run(inputs, options)
    return new GradCamExplanation(output, explained, this.layers, execution)
  }
}

/** What {@link GradCam.explain} found. Owns all its tensors. */
export class GradCamExplanation<Output extends Value = Tensor> implements Explained, Disposable {
  /** The model's output, e.g. logits [N, C], off the graph. */
  readonly output: Output
  readonly targets: readonly number[]
  readonly scores: readonly number[]
  readonly layers: readonly string[]
  /** Whether the pass ran split or hooked. */
  readonly execution: ExecutionPath
  readonly #explained: NativeExplained
  readonly #maps: readonly Tensor[]
  #disposed = false

  /** @internal */
  constructor(output: Output, explained: NativeExplained, layers: readonly string[], execution: ExecutionPath) {
    this.output = output
    this.targets = explained.classes
    this.scores = explained.scores
    this.layers = layers
    this.execution = execution
    this.#explained = explained
    this.#maps = explained.layers.map(({ map }) => Tensor.own(map as TensorHandle))
  }

  /** The map of the first layer, [N, 1, h, w]. */
  get cam(): Tensor {
    return this.get(this.layers[0] as string)
  }

  /** The map of a layer, [N, 1, h, w]. It belongs to this explanation. */
  get(layer: string): Tensor {
    const map = this.#maps[this.layers.indexOf(layer)]
    if (!map)
      throw new GradCamError(
        'ERR_LAYER_NOT_FOUND',
        `'${layer}' is not among the layers explained: ${this.layers.map((l) => `'${l}'`).join(', ')}.`,
      )
    return map
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    disposeValue(this.output)
    for (const map of this.#maps) map.dispose()
    for (const { activation, gradient } of this.#explained.layers) {
      activation.dispose()
      gradient.dispose()
    }
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
