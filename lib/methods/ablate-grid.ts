import type { ExplainOptions } from '../explain/explainer.js'
import { gridFeatures } from '../perturbation/grid.js'
import { InputPerturbation } from '../perturbation/input-perturbation.js'
import type { PerturbationExplanation } from '../perturbation/perturbation-explanation.js'
import type { Model } from '../model/model.js'
import type { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'

/** An explainer for each size of images, made when the first one comes. */
export interface GridAblation extends Disposable {
  explain(input: Tensor, options: ExplainOptions<Value>): Promise<PerturbationExplanation<Value>>
}

/** Feature ablation of the cells of a grid, which is laid over images of any size. */
export function ablateGrid(model: Model, cell: readonly number[] | undefined): GridAblation {
  const bySize = new Map<string, { features: Tensor; explainer: InputPerturbation }>()
  const make = (size: readonly [number, number]) => {
    const features = gridFeatures(size, cell as [number, number] | undefined)
    try {
      return { features, explainer: new InputPerturbation(model, { method: 'feature-ablation', features }) }
    } catch (error) {
      features.dispose()
      throw error
    }
  }
  return {
    explain: (input, options) => {
      const [, , height = 1, width = 1] = input.shape
      const key = `${height}x${width}`
      const made = bySize.get(key) ?? make([height, width])
      bySize.set(key, made)
      return made.explainer.explain<Value>(input, options)
    },
    [Symbol.dispose]: () => {
      for (const { features, explainer } of bySize.values()) {
        explainer.dispose()
        features.dispose()
      }
      bySize.clear()
    },
  }
}
