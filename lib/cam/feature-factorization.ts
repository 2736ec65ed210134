import type { NativeExplained } from '../addon/native-pass.js'
import type { CallOptions } from '../addon/abort.js'
import { expect } from '../base/check.js'
import { disposeExplained } from '../explain/explained.js'
import { Explainer } from '../explain/explainer.js'
import type { ExecutionPath } from '../explain/execution.js'
import { notesOf, type ModelNote } from '../model/model-notes.js'
import type { Model } from '../model/model.js'
import type { TargetOptions } from '../target/target.js'
import { Tensor } from '../tensor/tensor.js'
import { disposeValue, type Value } from '../tensor/values.js'
import type { CamOptions } from './cam-options.js'
import { layerChoice } from './layer-choice.js'
import { toNativeReshape } from './reshape.js'

/** What {@link FeatureFactorization} has to be told: the layer, and how many concepts. */
export interface FeatureFactorizationOptions extends Pick<CamOptions, 'reshape' | 'part' | 'call' | 'input'> {
  /** The path of the layer whose activation is factorized. */
  readonly layer: string
  /** How many concepts there are; 5 by default, and at most as many as channels, and as positions of all images. */
  readonly concepts?: number
}

/** Many more than a person tells apart, and each takes a row of the legend. */
const mostConcepts = 1000

/**
 * Deep feature factorization: which few concepts the activations of a layer are made of, over all images of a batch, and where each
 * image shows them. No target is explained, and nothing is differentiated.
 *
 * The activation A [C, N h w], less the least value of each channel, is about W H with W and H at least zero: Collins et al. 2018,
 * "Deep Feature Factorization for Concept Discovery", arXiv:1806.10206. Nothing is random: W and H begin at the singular vectors of A
 * (NNDSVDa), and end as scikit-learn's NMF does. Concepts come in the order of the singular values that they began at.
 *
 * ```ts
 * using factorization = new FeatureFactorization(model, { layer: 'layer4', concepts: 5 })
 * using found = await factorization.explain(images)
 * found.maps // [N, 5, h, w]
 * found.conceptScores() // [5, classes]
 * ```
 */
export class FeatureFactorization extends Explainer {
  readonly layer: string
  readonly concepts: number

  /** @throws GradCamError ERR_INVALID_ARGUMENT, ERR_LAYER_NOT_FOUND, ERR_LAYER_NOT_HOOKABLE, ERR_MODEL_FROZEN */
  constructor(model: Model, options: FeatureFactorizationOptions) {
    const { layer, concepts = 5, reshape } = expect.options(options)
    const [path] = expect.strings('layer', [layer], "'features'")
    expect.integer('concepts', concepts, { min: 1, max: mostConcepts })
    super(model, {
      layers: [path as string],
      concepts,
      reshape: toNativeReshape(reshape),
      inputGradient: false,
      guided: 'none',
      ...layerChoice(options),
    })
    this.layer = layer
    this.concepts = concepts
  }

  /**
   * The concepts of a batch, in one call, which may overlap with others.
   *
   * @param options.of the path to the scores, where the output is not a tensor: see {@link TargetData}
   * @returns what was found, which owns its tensors and is to be disposed
   * @throws GradCamError ERR_INVALID_ARGUMENT for more concepts than there are channels or positions; ERR_LAYER_OUTPUT for a layer
   *   without spatial positions, or with values that are not finite; ERR_LAYER_NOT_REACHED, ERR_BATCH_SIZE
   */
  async explain<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    options: CallOptions & Pick<TargetOptions, 'of'> = {},
  ): Promise<FactorizationExplanation<Output>> {
    const { of, signal } = expect.options(options)
    const target = of === undefined ? undefined : ({ kind: 'class', of } as const)
    const { output, explained, execution, warnings } = await this.run<Value>(inputs, { target, signal })
    try {
      const { model, layer } = this
      const facts = { model, layer, output: output as Output, execution, warnings }
      return new FactorizationExplanation<Output>({ ...facts, factors: explained.factors as Factors })
    } finally {
      disposeExplained({ ...explained, factors: null })
    }
  }
}

type Factors = NonNullable<NativeExplained['factors']>

/** What {@link FeatureFactorization.explain} found. Owns its tensors. */
export class FactorizationExplanation<Output extends Value = Tensor> implements Disposable {
  /** The model's output for the images as they are, off the graph. */
  readonly output: Output
  readonly layer: string
  /** What a position that shows the concept alone has in each channel of the layer, [K, C]; float64 for a float64 model, else float32. */
  readonly concepts: Tensor
  /** How much of each concept a position shows, [N, K, h, w], at least zero, not normalised; of the same dtype. */
  readonly maps: Tensor
  /** Whether the pass ran split or hooked: only what ran split has scores of concepts. */
  readonly execution: ExecutionPath
  /** What LibTorch and the model warned of meanwhile, each text once. */
  readonly warnings: readonly string[]
  /** What makes results of this model depend on more than the images: nothing for most models. */
  readonly notes: readonly ModelNote[]
  readonly #scores: Tensor | null
  readonly #noScores: Error | null

  /** @internal */
  constructor(found: {
    readonly model: Model
    readonly layer: string
    readonly output: Output
    readonly execution: ExecutionPath
    readonly warnings: readonly string[]
    readonly factors: Factors
  }) {
    const { factors } = found
    this.output = found.output
    this.layer = found.layer
    this.execution = found.execution
    this.warnings = found.warnings
    this.notes = notesOf(found.model)
    this.concepts = Tensor.own(factors.concepts)
    this.maps = Tensor.own(factors.maps)
    this.#scores = factors.scores && Tensor.own(factors.scores)
    this.#noScores = factors.noScores
  }

  /** Whether concepts have scores: see `conceptScores`. */
  get scored(): boolean {
    return this.#scores !== null
  }

  /** Why concepts have no scores, in a sentence; null where they have. */
  get whyUnscored(): string | null {
    return this.#noScores?.message ?? null
  }

  /**
   * What the model answers where the layer shows one concept alone, at every position: e.g. logits [K, classes]. Of a model that
   * averages over positions it is the linear head of the concept. It belongs to this explanation.
   *
   * @throws GradCamError ERR_NOT_SPLITTABLE where what follows the layer cannot be run on concepts: values go around the layer, the
   *   model did not run split, or the layer has a reshape function
   */
  conceptScores(): Tensor {
    if (this.#scores) return this.#scores
    throw this.#noScores as Error
  }

  /** Frees all. Safe to call again. */
  dispose(): void {
    disposeValue(this.output)
    for (const tensor of [this.concepts, this.maps, this.#scores]) tensor?.dispose()
  }

  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}
