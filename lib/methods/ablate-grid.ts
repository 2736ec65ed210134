import type { ExplainOptions } from '../explain/explainer.js'
import { gridFeatures } from '../perturbation/grid.js'
import { InputPerturbation } from '../perturbation/input-perturbation.js'
import type { PerturbationExplanation } from '../perturbation/perturbation-explanation.js'
import type { Model } from '../model/model.js'
import type { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'

/** Feature ablation of images of any size. */
export interface GridAblation extends Disposable {
  explain(input: Tensor, options: ExplainOptions<Value>): Promise<PerturbationExplanation<Value>>
}

/**
 * Feature ablation of the cells of a grid, which is laid over images of any size. The grid is made for each call: a server
 * may meet any number of sizes, and what is costly about an explainer belongs to its model.
 */
export function ablateGrid(model: Model, cell: readonly number[] | undefined): GridAblation {
  return {
    explain: async (input, options) => {
      const [, , height = 1, width = 1] = input.shape
      using features = gridFeatures([height, width], cell as [number, number] | undefined)
      using explainer = new InputPerturbation(model, { method: 'feature-ablation', features })
      return await explainer.explain<Value>(input, options)
    },
    [Symbol.dispose]: () => {},
  }
}
