import type { PassPlan } from '../addon/native-pass.js'
import { disposeExplained, ofPart, type Explained, type ExplainOptions } from './explained.js'
import { Explainer } from './explainer.js'
import type { Execution } from './execution.js'
import type { Model } from '../model/model.js'
import type { Tensor } from '../tensor/tensor.js'
import { disposeValue, type Value } from '../tensor/values.js'

/** The part of a plan that says that classes and scores alone are asked for. */
export const scorePlan = (input: number): PassPlan => ({
  layers: [],
  input,
  scoresOnly: true,
  inputGradient: false,
  guided: 'none',
})

/** The classes and scores of inputs, from a forward without a graph. */
export class ScorePass extends Explainer {
  /**
   * @param scoreLayer the layer whose output the target is of, instead of the model's
   * @param execution by default the model runs frozen and optimised, where it allows that, which has to be prepared once
   */
  constructor(model: Model, execution: Execution = 'auto', input = 0, scoreLayer?: string) {
    super(model, { ...scorePlan(input), execution, ...(scoreLayer !== undefined && { scoreLayer }) })
  }

  /** @throws GradCamError ERR_TARGET, ERR_TARGET_COUNT, ERR_TARGET_OUT_OF_RANGE */
  async score<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    options: ExplainOptions<Output> = {},
  ): Promise<Explained> {
    const { output, ...explained } = await this.look(inputs, options)
    disposeValue(output)
    return explained
  }

  /** Whether several copies may run in one batch: see `runsInBatches` of explainers. */
  async takesSeveral(inputs: Value | readonly Value[], signal: AbortSignal | undefined): Promise<boolean> {
    return await this.runsInBatches(inputs, signal)
  }

  /** The same with the model's output, for the caller to dispose. */
  async look<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    options: ExplainOptions<Output> = {},
  ): Promise<Explained & { output: Output }> {
    const { output, explained, warnings } = await this.run(inputs, options)
    disposeExplained(explained)
    return { output, targets: explained.classes, scores: explained.scores, warnings, ...ofPart(explained) }
  }
}
