import { GradCamError } from '../base/errors.js'
import type { ExecutionOptions } from '../explain/explainer.js'
import { isMethodName, methodNames, methods, type MethodName } from '../methods/table.js'
import { makeMapExplainers, type MapExplainer } from '../methods/map-explainer.js'
import type { Model } from '../model/model.js'

/** Every method makes one map of each input. */
export type BatchMethodName = MethodName

/** The method of that name, made for a model. Each of its results has one map. */
export function makeExplainer(
  name: BatchMethodName,
  model: Model,
  layer: string | null,
  execution: ExecutionOptions = {},
): MapExplainer {
  const refuse = (text: string) => new GradCamError('ERR_INVALID_ARGUMENT', text)
  if (!isMethodName(name))
    throw refuse(`There is no method '${name as string}' for batches. There are ${methodNames.join(', ')}.`)
  const { layered, by } = methods[name]
  if (layered && !layer) throw refuse(`${name} looks at a layer: name it, e.g. layer: 'features'.`)
  if (!layered && layer) throw refuse(`${name} takes no layer. Leave it out.`)
  if (execution.precision && by !== 'Cam') throw refuse(`${name} has no layer to run up to: leave out the precision.`)
  const [explainer] = makeMapExplainers(model, [name], layer === null ? [] : [layer], execution)
  return explainer as MapExplainer
}
