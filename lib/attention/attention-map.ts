import type { NativeExplained } from '../addon/native-pass.js'
import { expect, invalid, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { hasChannelsLast } from '../model/expected-input.js'
import { disposeExplained, ofPart, type ExplainOptions } from '../explain/explained.js'
import { Explainer } from '../explain/explainer.js'
import { TensorExplanation, type ExplanationFields } from '../explain/explanation.js'
import { conditionsOrDispose } from '../explain/tensor-conditions.js'
import { toPositional, type Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { disposeValue, type Value } from '../tensor/values.js'
import { followBack, type AttentionRule, type LayerAttention } from './chain.js'
import { gradientRollout } from './gradient-rollout.js'
import { leGrad } from './legrad.js'
import { rollout } from './rollout.js'
import { suggestBlocks } from './suggest-blocks.js'
import { tokenGrid, type TokenOptions } from './token-grid.js'
import { transformerAttribution } from './transformer-attribution.js'

/**
 * How the attention matrices A of a transformer, and the gradients dA of the score there, become a map: a product over its layers
 * of what each passes on, from the class token back to the patches.
 *
 * - `attention-rollout`: (mean over heads of A + I) / 2. Abnar and Zuidema 2020, arXiv:2005.00928. The same for every target.
 * - `gradient-attention-rollout`: max(mean over heads of A dA, 0) + I, in rows that add up to 1. As vit-explain
 * - `transformer-attribution`: I + mean over heads of max(A dA, 0). Chefer et al. 2021, arXiv:2103.15679
 * - `legrad`: no product, but the mean over blocks of max(dA, 0), where dA is of the score that the block's own output has.
 *   Bousselham et al. 2024, arXiv:2404.03214
 */
export type AttentionMethod = 'attention-rollout' | 'gradient-attention-rollout' | 'transformer-attribution' | 'legrad'

/** How much each token counts, [N, T] float64, for the caller to dispose. `byClassToken`: for the first token, else for all. */
type AttentionFormula = (layers: readonly LayerAttention[], byClassToken: boolean) => Tensor

const chained =
  (rule: AttentionRule): AttentionFormula =>
  (layers, byClassToken) =>
    followBack(layers, rule, byClassToken)

const formulas: Readonly<Record<AttentionMethod, AttentionFormula>> = {
  'attention-rollout': chained(rollout),
  'gradient-attention-rollout': chained(gradientRollout),
  'transformer-attribution': chained(transformerAttribution),
  legrad: leGrad,
}

/** Every {@link AttentionMethod}. */
export const attentionMethods = Object.keys(formulas) as readonly AttentionMethod[]

/** What {@link AttentionMap} has to be told: the method, and where the tokens are. */
export interface AttentionMapOptions extends TokenOptions {
  readonly method: AttentionMethod
  /** Which of the model's inputs holds the images, from 0, where there are several. The first by default. */
  readonly input?: number
  /**
   * For legrad: the paths of the transformer's blocks, whose outputs have the shape of that of the last of them. By default the row
   * of modules of one type side by side that has the most parameters, such as blocks.0 to blocks.11.
   */
  readonly blocks?: readonly string[]
}

/**
 * Maps of vision transformers from their attention, which is found in the graph of a pass: matrices [N, heads, T, T] that a
 * softmax made, or that are computed from queries and keys where the model runs a fused kernel. No layer has to be named, but for the
 * blocks of LeGrad where they are not side by side. Not for
 * attention within windows, as Swin's.
 *
 * ```ts
 * using explainer = new AttentionMap(model, { method: 'transformer-attribution' })
 * using found = await explainer.explain(input, { target: 281 })
 * found.cam // [N, 1, h, w], as large as the grid of patches
 * ```
 */
export class AttentionMap extends Explainer {
  readonly method: AttentionMethod
  readonly #options: TokenOptions
  readonly #input: number

  /** @throws GradCamError ERR_INVALID_ARGUMENT; for legrad ERR_LAYER_NOT_FOUND, ERR_LAYER_NOT_HOOKABLE, ERR_NO_ATTENTION */
  constructor(model: Model, options: AttentionMapOptions) {
    const { method, tokens = 'input', skip, input = 0 } = expect.options(options)
    expect.oneOf('method', method, attentionMethods)
    expect.integer('input', input, { min: 0 })
    if (skip !== undefined) expect.integer('skip', skip, { min: 0 })
    if (tokens !== 'input' && !isGrid(tokens)) throw invalid('tokens', "'input' or [rows, columns]", tokens)
    const { blocks } = options
    if (blocks !== undefined && method !== 'legrad')
      throw invalid('blocks', 'left out: it goes with legrad alone', blocks)
    if (blocks !== undefined) expect.strings('blocks', blocks, "['blocks.0', 'blocks.1']")
    const layers = method === 'legrad' ? (blocks ?? suggestBlocks(model)) : []
    super(model, { layers, input, attention: true, inputGradient: true, guided: 'none' })
    this.method = method
    this.#options = { tokens, ...(skip !== undefined && { skip }) }
    this.#input = input
  }

  /**
   * Everything in one call, which may overlap with others.
   *
   * @throws GradCamError ERR_NO_ATTENTION for a model without attention between all its tokens; ERR_SHAPE where these form no
   *   grid; ERR_TARGET, ERR_TARGET_COUNT, ERR_TARGET_OUT_OF_RANGE, ERR_NO_GRADIENT
   */
  async explain<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    options: ExplainOptions<Output> = {},
  ): Promise<AttentionExplanation<Output>> {
    const { output, explained, warnings } = await this.run(inputs, options)
    const { model, method } = this
    let found: { readonly cam: Tensor; readonly layers: number }
    try {
      found = { cam: this.#mapOf(explained, inputs), layers: explained.attention.length }
    } catch (error) {
      disposeValue(output)
      throw error
    } finally {
      disposeExplained(explained)
    }
    const { classes: targets, scores } = explained
    const evidence = { scores, gradient: method !== 'attention-rollout' }
    const conditions = await conditionsOrDispose(output, found.cam, model, evidence, options)
    const facts = { method, model, output, targets, scores, conditions, warnings, ...ofPart(explained) }
    return new AttentionExplanation({ ...facts, ...found })
  }

  #mapOf({ attention }: NativeExplained, inputs: Value | readonly Value[]): Tensor {
    return tidy(() => {
      const layers = attention.map(({ weights, gradient }): LayerAttention => ({
        weights: Tensor.own(weights).detach(),
        gradient: Tensor.own(gradient).detach(),
      }))
      const [first] = layers
      const [images = 1, , count = 1] = first?.weights.shape ?? []
      const other = layers.find(({ weights }) => weights.shape[2] !== count)
      if (other)
        throw new GradCamError(
          'ERR_NO_ATTENTION',
          `The model attends between ${count} tokens first, and then between ${other.weights.shape[2]}: no map can follow a token.`,
          { remedy: 'Use a method that needs no attention, such as Grad-CAM of a layer.' },
        )
      const grid = tokenGrid(count, this.#sizeOf(inputs), this.#options)
      const row = formulas[this.method](layers, grid.skip > 0)
      const dtype = first?.weights.dtype === 'float64' ? 'float64' : 'float32'
      return row
        .narrow(1, grid.skip, grid.rows * grid.columns)
        .reshape([images, 1, grid.rows, grid.columns])
        .to({ dtype })
        .clone()
    })
  }

  #sizeOf(inputs: Value | readonly Value[]): readonly number[] {
    const { shape } = toPositional(this.model, inputs)[this.#input] as Tensor
    return hasChannelsLast(this.model, this.#input, shape) ? shape.slice(1, 3) : shape.slice(2)
  }
}

const isGrid = (value: unknown): boolean => {
  const sizes = toList(value)
  return sizes?.length === 2 && sizes.every((size) => Number.isSafeInteger(size) && (size as number) > 0)
}

/** What {@link AttentionMap.explain} found. Owns its tensors. */
export class AttentionExplanation<Output extends Value = Tensor> extends TensorExplanation<Output> {
  readonly method: AttentionMethod
  /** [N, 1, rows, columns] of the grid of tokens, not below 0, not normalised; float64 for a float64 model, else float32. */
  readonly cam: Tensor
  /** How many attention matrices the map was made of. */
  readonly layers: number

  /** @internal */
  constructor(
    found: ExplanationFields<Output> & {
      readonly method: AttentionMethod
      readonly cam: Tensor
      readonly layers: number
    },
  ) {
    super(found, found.cam)
    this.method = found.method
    this.cam = found.cam
    this.layers = found.layers
  }
}
