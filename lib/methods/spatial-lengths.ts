import { toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { hasChannelsLast } from '../model/expected-input.js'
import { toPositional, type Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'
import type { MethodSettings } from './options.js'
import type { Attributing } from './single-explainer.js'

/**
 * The same explainer, which refuses a window or stride of another number of dimensions than the images have. `InputPerturbation`
 * covers whole the dimensions that are not given, such as the depth of a volume. Settings of commands, jobs and requests are
 * refused instead: there it is more likely a mistake.
 *
 * @param input which of the inputs holds the images
 */
export function withLengthsOf(
  explainer: Attributing,
  model: Model,
  settings: Pick<MethodSettings, 'window' | 'stride'>,
  input: number,
): Attributing {
  return {
    explain: async (inputs, options) => {
      requireLengths(model, toPositional(model, inputs)[input], settings, input)
      return await explainer.explain(inputs, options)
    },
    [Symbol.dispose]: () => explainer[Symbol.dispose](),
  }
}

const namesOf: Readonly<Record<number, string>> = {
  1: '[length]',
  2: '[height, width]',
  3: '[depth, height, width]',
}

/** @throws GradCamError ERR_INVALID_ARGUMENT */
export function requireLengths(
  model: Model,
  images: Value | undefined,
  settings: Pick<MethodSettings, 'window' | 'stride'>,
  input: number,
): void {
  if (!(images instanceof Tensor)) return
  const { shape } = images
  const spatial = Math.max(1, shape.length - 2)
  for (const [name, value] of Object.entries({ window: settings.window, stride: settings.stride })) {
    const lengths = toList(value)
    if (!lengths || lengths.length === spatial) continue
    if (lengths.length === spatial + 1 && hasChannelsLast(model, input, shape)) continue
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `\`${name}\` has ${lengths.length} ${lengths.length === 1 ? 'dimension' : 'dimensions'}, and the input [${shape.join(', ')}] has ${spatial} after the channels.`,
      {
        remedy: `Give ${namesOf[spatial] ?? `${spatial} numbers`}, or one number for all of them.`,
        details: { argument: name, shape },
      },
    )
  }
}
