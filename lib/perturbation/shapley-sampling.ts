import { expect } from '../base/check.js'
import { allOf, orderOf, type Coalitions, type CoalitionMethod } from './coalitions.js'
import type { FeatureOptions } from './over-features.js'
import { uniforms } from './uniforms.js'

/** The settings of Shapley value sampling. */
export interface ShapleySamplingOptions extends FeatureOptions {
  /** How many orders of the features; 25 by default. Each takes as many runs as there are features, less one. */
  readonly samples?: number
  /** An integer from 0 on, 0 by default. The same seed gives the same orders, whatever the batch size. */
  readonly seed?: number
}

/** The order in which the features of an image are added for the nth time. */
export const orderOfFeatures = (seed: number, sample: number, features: number): number[] =>
  orderOf(uniforms(seed, sample, features))

/**
 * The mean over random orders of what a feature changes when it is added to those before it in the order, of which the first
 * is added to the baseline. Castro et al. 2009, "Polynomial calculation of the Shapley value based on sampling",
 * doi:10.1016/j.cor.2008.04.004, section 3; as Captum's ShapleyValueSampling.
 */
export function shapleySampling(options: ShapleySamplingOptions): CoalitionMethod {
  const { samples = 25, seed = 0 } = options
  expect.count('samples', samples)
  expect.seed('seed', seed)
  return (features): Coalitions => {
    const steps = features - 1
    let known = { sample: -1, order: [] as number[] }
    const orderFor = (sample: number) => {
      if (known.sample !== sample) known = { sample, order: orderOfFeatures(seed, sample, features) }
      return known.order
    }
    return {
      // The first is the baseline; after the last step of an order comes the image as it is.
      count: 1 + samples * steps,
      present: (version) => {
        const z = allOf(features, 0)
        if (version === 0) return z
        const added = 1 + ((version - 1) % steps)
        for (const j of orderFor(Math.floor((version - 1) / steps)).slice(0, added)) z[j] = 1
        return z
      },
      solve: (score, [base = 0, ...changed]) => {
        const values = new Float64Array(features)
        for (let sample = 0; sample < samples; sample++) {
          let before = base
          for (const [step, j] of orderFor(sample).entries()) {
            const after = step === steps ? score : (changed[sample * steps + step] as number)
            values[j] = (values[j] as number) + (after - before) / samples
            before = after
          }
        }
        return values
      },
    }
  }
}
