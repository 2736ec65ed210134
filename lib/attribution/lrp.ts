import { expect } from '../base/check.js'
import type { Model } from '../model/model.js'
import { InputAttribution } from './input-attribution.js'
import type { InputAttributionOptions } from './input-options.js'

/** What {@link Lrp} may be told. */
export type LrpOptions = Pick<InputAttributionOptions, 'composite' | 'low' | 'high' | 'smooth' | 'input' | 'batchSize'>

/**
 * Layer-wise relevance propagation: the score as relevance of each element of the (first) input, handed down from layer to
 * layer. Bach et al. 2015, doi:10.1371/journal.pone.0130140; Montavon et al. 2019, doi:10.1007/978-3-030-28954-6_10.
 *
 * It follows the operators that a pass calls, so that functional activations, in-place ones, additions and concatenations are
 * covered as modules are. Batch norms are merged into the layer that they follow or lead to; the model is not changed. An operator
 * without a rule (softmax, a layer norm, a product of two activations) is refused with ERR_ACTIVATION, which names it and its layer.
 *
 * ```ts
 * using lrp = new Lrp(model, { composite: 'epsilon-plus' })
 * using found = await lrp.explain(input, { target: 281 })
 * found.attribution // [N, 3, H, W], the relevance
 * found.delta // per image: the sum of the relevance minus the score
 * ```
 */
export class Lrp extends InputAttribution {
  /** @throws GradCamError ERR_INVALID_ARGUMENT */
  constructor(model: Model, options: LrpOptions = {}) {
    super(model, { ...expect.options(options), method: 'lrp' })
  }
}
