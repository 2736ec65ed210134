import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { functions, operators } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import { readFeatures, type FeatureAblationOptions } from './feature-ablation.js'
import type { Perturbation } from './perturbation.js'
import { uniforms } from './uniforms.js'
import { WeightedMasks } from './weighted-masks.js'

/** The settings of feature permutation. */
export interface FeaturePermutationOptions extends Pick<FeatureAblationOptions, 'features'> {
  /** How many permutations of the images each feature is given, of which the mean is taken; 1 by default. */
  readonly samples?: number
  /** An integer from 0 on, 0 by default. The same seed gives the same permutations, whatever the batch size. */
  readonly seed?: number
}

/**
 * From which image of a batch each takes a feature in a version: a cycle through all of them, all cycles being as likely, so that
 * none keeps its own. Sattolo 1986, "An algorithm to generate a random cyclic permutation", doi:10.1016/0020-0190(86)90073-6.
 */
export function otherImages(seed: number, version: number, images: number): number[] {
  const drawn = uniforms(seed, version, images)
  const order = Array.from({ length: images }, (_, n) => n)
  for (let last = images - 1; last > 0; last--) {
    const at = Math.floor((drawn[last] as number) * last)
    ;[order[last], order[at]] = [order[at] as number, order[last] as number]
  }
  return order
}

/**
 * f(x) - f(x with the feature of another image of the batch), for each element of the feature: Captum's FeaturePermutation, by the
 * idea of Breiman 2001, "Random Forests", doi:10.1023/A:1010933404324, section 10. The caller disposes what it returns.
 */
export function featurePermutation(x: Tensor, options: FeaturePermutationOptions): Perturbation & Disposable {
  const { features, samples = 1, seed = 0 } = options
  expect.count('samples', samples)
  expect.seed('seed', seed)
  const images = x.shape[0] as number
  if (images < 2)
    throw new GradCamError(
      'ERR_SHAPE',
      'Feature permutation gives each image features of other images of its batch, and there is one image.',
      { remedy: 'Give two or more images at once.', details: { shape: x.shape } },
    )
  const { ids, mask } = readFeatures(x, features)
  return {
    count: ids.length * samples,
    accumulate: () => new WeightedMasks({ divisor: samples, weight: (score, changed) => score - changed }),
    masks: async (from, to, call) => {
      const chosen = BigInt64Array.from({ length: to - from }, (_, i) => ids[(from + i) % ids.length] as bigint)
      using wide = Tensor.from(chosen, [to - from, ...x.shape.map(() => 1)], { device: x.device })
      return await callOperatorAsync(operators.eq, [mask, wide], call)
    },
    apply: async (input, masks, call) => {
      const versions = masks.shape[0] as number
      const from = Array.from({ length: versions }, (_, i) => otherImages(seed, call.from + i, images))
      using index = Tensor.from(BigInt64Array.from(from.flat(), BigInt), [versions * images], { device: x.device })
      using batch = input.select(0, 0)
      using moved = await callOperatorAsync(functions.indexSelect, [batch, 0, index], call)
      using others = moved.reshape([versions, ...x.shape])
      return await callOperatorAsync(operators.where, [masks, others, input], call)
    },
    [Symbol.dispose]: () => mask.dispose(),
  }
}
