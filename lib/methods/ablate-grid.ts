import type { ExplainOptions } from '../explain/explained.js'
import { gridFeatures } from '../perturbation/grid.js'
import { InputPerturbation } from '../perturbation/input-perturbation.js'
import type { PerturbationExplanation } from '../perturbation/perturbation-explanation.js'
import type { MethodSettings } from './options.js'
import { requireLengths } from './spatial-lengths.js'
import { toPositional, type Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'

/** Feature ablation of images, volumes and signals of any size. */
export interface GridAblation extends Disposable {
  explain(inputs: Value | readonly Value[], options: ExplainOptions<Value>): Promise<PerturbationExplanation<Value>>
}

/**
 * Feature ablation of the cells of a grid, which is laid over images of any size. The grid is made for each call: a server
 * may meet any number of sizes, and what is costly about an explainer belongs to its model.
 *
 * @param input which of the inputs holds the images
 */
export function ablateGrid(
  model: Model,
  { window: cell, baseline = 0 }: Pick<MethodSettings, 'window' | 'baseline'>,
  input: number,
): GridAblation {
  return {
    explain: async (inputs, options) => {
      const images = toPositional(model, inputs)[input]
      requireLengths(model, images, cell === undefined ? {} : { window: cell }, input)
      const [, , ...sizes] = images instanceof Tensor ? images.shape : []
      using features = gridFeatures(sizes.length === 0 ? [1, 1] : sizes, cell)
      using explainer = new InputPerturbation(model, { method: 'feature-ablation', features, baseline, input })
      return await explainer.explain<Value>(inputs, options)
    },
    [Symbol.dispose]: () => {},
  }
}
