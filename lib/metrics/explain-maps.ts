import { GradCamError } from '../base/errors.js'
import type { Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
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
  if (typeof explain === 'function') return explain as ExplainMaps
  throw new GradCamError(
    'ERR_INVALID_ARGUMENT',
    'This metric explains again: give `explain`, (model, input, { target, signal }) => a promise of maps.',
  )
}

/** What `explain` made of a batch, refused where it is not like the maps that were given. */
export async function explainLike(
  explain: ExplainMaps,
  model: Model,
  input: Tensor,
  shape: readonly number[],
  options: { target: MetricTarget; signal: AbortSignal | undefined },
): Promise<Tensor> {
  const maps: unknown = await explain(model, input, options)
  const wanted = [input.shape[0] as number, ...shape.slice(1)]
  if (!(maps instanceof Tensor)) throw new GradCamError('ERR_INVALID_ARGUMENT', '`explain` has to return a Tensor.')
  try {
    if (maps.shape.join() !== wanted.join())
      throw new GradCamError(
        'ERR_SHAPE',
        `\`explain\` made maps [${maps.shape.join(', ')}], where those given to add are like [${wanted.join(', ')}].`,
      )
    await checkFinite(maps, options.signal)
    return maps
  } catch (error) {
    maps.dispose()
    throw error
  }
}
