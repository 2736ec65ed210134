import { disposeExplained, Explainer, type Explained, type ExplainOptions } from './explainer.js'
import type { ScriptModule } from './script-module.js'
import type { Tensor } from './tensor.js'
import { disposeValue, type Value } from './values.js'

/** The classes and scores of inputs, from a forward without a graph, frozen and optimised where the model allows it. */
export class ScorePass extends Explainer {
  constructor(model: ScriptModule) {
    super(model, { layers: [], scoresOnly: true, inputGradient: false, guided: 'none' })
  }

  /** @throws GradCamError ERR_TARGET, ERR_TARGET_COUNT, ERR_TARGET_OUT_OF_RANGE */
  async score<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    options: ExplainOptions<Output> = {},
  ): Promise<Explained> {
    const { output, explained } = await this.run(inputs, options)
    disposeValue(output)
    disposeExplained(explained)
    return { targets: explained.classes, scores: explained.scores }
  }
}
