import { cancellable, type CallOptions } from '../addon/abort.js'
import { native } from '../addon/native.js'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { expectedInput } from '../model/expected-input.js'
import type { Target } from '../target/target.js'
import type { Value } from '../tensor/values.js'
import { refuseWithoutLayers } from '../model/default-layer.js'
import { refusedInput } from '../model/refused-input.js'
import { checkModel, type Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import { whyNone } from './reached-layers.js'
import { observeAndSuggest, type LayerSuggestion } from './suggest-layers.js'

/**
 * The layer to explain where none is named, and its `reshape`: the first that {@link suggestLayers} suggests for noise of
 * this shape.
 *
 * @param shape of the input, [1, C, H, W], or of a volume or signal
 * @throws GradCamError ERR_LAYER_OUTPUT when no layer has a spatial output, ERR_MODEL_FROZEN, and what `model.forward`
 *   throws
 */
export async function pickLayer(
  model: Model,
  shape: readonly number[],
  options: PickOptions = {},
): Promise<LayerSuggestion> {
  checkModel(model)
  const { inputs: others, target, signal } = expect.options(options)
  expect.list('shape', shape, isSize, 'the sizes of an input, e.g. [1, 3, 224, 224]')
  using noise = await noiseOf(shape, model, others, signal)
  const at = others?.indexOf(null) ?? 0
  const inputs = others ? others.map((value, i) => (i === at ? noise : value)) : noise
  const found = await observeAndSuggest(model, inputs, { input: at, target, signal }).catch(async (error: unknown) => {
    throw await refusedInput(error, model, inputs, at)
  })
  const [layer] = found.suggestions
  if (layer) return layer
  refuseWithoutLayers(model)
  const { reason, remedy } = whyNone(found.observed)
  throw new GradCamError(
    'ERR_LAYER_OUTPUT',
    `No layer can be chosen for an input of [${shape.join(', ')}]: ${reason}.`,
    { remedy },
  )
}

/** What {@link pickLayer} may be told. */
export interface PickOptions extends CallOptions {
  /** All inputs of a model that takes several, in order, with null where the noise goes. */
  readonly inputs?: readonly Value[] | undefined
  /** See `SuggestOptions`. */
  readonly target?: Target<Value> | undefined
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0

/** Noise of a seed of its own: the generator of the process is left alone. */
async function noiseOf(
  shape: readonly number[],
  model: Model,
  others: readonly Value[] | undefined,
  signal: AbortSignal | undefined,
): Promise<Tensor> {
  const handle = await cancellable(
    signal,
    (ticket) => native().randomUniform(shape, 'float32', 0, ticket),
    (late) => late.dispose(),
  )
  const noise = Tensor.own(handle)
  const { dtype } = expectedInput(model, others?.indexOf(null) ?? 0)
  if (dtype === null || dtype === 'float32') return noise
  using plain = noise
  return plain.to({ dtype })
}
