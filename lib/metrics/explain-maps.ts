import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import type { Model } from '../model/model.js'
import { checkTensor, type Tensor } from '../tensor/tensor.js'
import { checkFinite } from './maps.js'
import type { MetricTarget } from './scores.js'

/**
 * Explains a batch for a metric that has to explain again.
 *
 * @param model the one that is evaluated, or a copy of it with random parameters
 * @param input [N, C, H, W]
 * @returns maps of the shape that is given to `add`, which the metric disposes
 */
export type ExplainMaps = (
  model: Model,
  input: Tensor,
  options: { target: MetricTarget; signal: AbortSignal | undefined },
) => Promise<Tensor>

export function checkExplain(explain: unknown): ExplainMaps {
  const expected =
    'a function (model, input, { target, signal }) => a promise of maps, since this metric explains again'
  return expect.function('explain', explain as ExplainMaps, expected)
}

/** Calls `explain` for a batch. Refuses maps of another shape than those given to `add`. */
export async function explainLike(
  explain: ExplainMaps,
  model: Model,
  input: Tensor,
  shape: readonly number[],
  options: { target: MetricTarget; signal: AbortSignal | undefined },
): Promise<Tensor> {
  const maps = checkTensor('the result of explain', await explain(model, input, options))
  const expected = [input.shape[0] as number, ...shape.slice(1)]
  try {
    if (maps.shape.join() !== expected.join())
      throw new GradCamError(
        'ERR_SHAPE',
        `\`explain\` must return maps [${expected.join(', ')}], like those given to \`add\`, but returned [${maps.shape.join(', ')}].`,
        { details: { shape: maps.shape, expected } },
      )
    await checkFinite(maps, options.signal)
    return maps
  } catch (error) {
    maps.dispose()
    throw error
  }
}
