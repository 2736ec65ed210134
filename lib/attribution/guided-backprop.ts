import type { TensorHandle } from '../addon/native-values.js'
import { expect } from '../base/check.js'
import { conditionsOrDispose } from '../explain/tensor-conditions.js'
import { Explainer } from '../explain/explainer.js'
import { ofPart, type ExplainOptions } from '../explain/explained.js'
import { toExecutionPlan, type Execution, type ExecutionPath } from '../explain/execution.js'
import { TensorExplanation, type ExplanationFields } from '../explain/explanation.js'
import type { Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'

/** What {@link GuidedBackprop} may be told. */
export interface GuidedBackpropOptions {
  /**
   * 'all' (the default): every ReLU of the pass, module or functional, in place or not. 'modules': nn.ReLU modules alone,
   * the reach of the Python reference, which misses functional ones silently.
   */
  scope?: 'all' | 'modules'
  /** With scope 'modules' passes are always hooked. */
  execution?: Execution
}

/**
 * Guided backpropagation: the gradient of the score at the input, passed through each ReLU only where it is positive.
 *
 * At a ReLU with input x, a gradient g becomes g * 1[x > 0] * 1[g > 0]. Springenberg et al. 2015, arXiv:1412.6806. The
 * model is not changed: the rule lives in the graph of this pass.
 */
export class GuidedBackprop extends Explainer {
  /** @throws GradCamError ERR_INVALID_ARGUMENT */
  constructor(model: Model, options: GuidedBackpropOptions = {}) {
    const { scope = 'all', execution = 'auto' } = expect.options(options)
    expect.oneOf('scope', scope, ['all', 'modules'])
    super(model, { layers: [], inputGradient: true, guided: scope, ...toExecutionPlan({ execution }) })
  }

  /** How many ReLUs of the last forward pass follow the rule. With none, `backward` throws ERR_NO_RELU. */
  override get intercepted(): number {
    return super.intercepted
  }

  /** The guided gradient after `backward`, of the shape of the (first) input, for the caller to dispose. */
  get(): Tensor {
    return Tensor.own(this.explained.inputGradient as TensorHandle).detach()
  }

  /** Forward and backward in one call, which may overlap with others. */
  async explain<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    options: ExplainOptions<Output> = {},
  ): Promise<GuidedBackpropExplanation<Output>> {
    const { output, intercepted, explained, execution, warnings } = await this.run(inputs, options)
    const gradient = Tensor.own(explained.inputGradient as TensorHandle)
    const { classes: targets, scores } = explained
    const { model } = this
    const conditions = await conditionsOrDispose(
      output,
      gradient,
      model,
      { scores, gradient: true, from: 'ruled' },
      options,
    )
    return new GuidedBackpropExplanation({
      model,
      output,
      gradient,
      intercepted,
      targets,
      scores,
      execution,
      conditions,
      warnings,
      ...ofPart(explained),
    })
  }
}

/** What {@link GuidedBackprop.explain} found. Owns its tensors. */
export class GuidedBackpropExplanation<Output extends Value = Tensor> extends TensorExplanation<Output> {
  /** The guided gradient, of the shape of the (first) input. */
  readonly gradient: Tensor
  /** How many ReLUs followed the rule. */
  readonly intercepted: number
  /** Whether the pass ran split or hooked. */
  readonly execution: ExecutionPath

  /** @internal */
  constructor(
    found: ExplanationFields<Output> & {
      readonly gradient: Tensor
      readonly intercepted: number
      readonly execution: ExecutionPath
    },
  ) {
    super(found, found.gradient)
    this.gradient = found.gradient
    this.intercepted = found.intercepted
    this.execution = found.execution
  }
}
