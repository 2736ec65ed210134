import { GradCamError } from '../base/errors.js'
import type { ExecutionOptions } from '../explain/explainer.js'
import { isMethodName, methodNames, methods, type MethodName } from '../methods/table.js'
import { makeMapExplainers, type MapExplainer } from '../methods/map-explainer.js'
import type { Model } from '../model/model.js'

/** An explainer of one method, whose results have one map each. */
export function makeExplainer(
  name: MethodName,
  model: Model,
  layer: string | null,
  execution: ExecutionOptions = {},
): MapExplainer {
  const refuse = (text: string) => new GradCamError('ERR_INVALID_ARGUMENT', text)
  if (!isMethodName(name))
    throw refuse(`There is no method '${name as string}'. The methods are ${methodNames.join(', ')}.`)
  const { layered, by } = methods[name]
  if (layered && !layer) throw refuse(`${name} requires a layer, e.g. layer: 'features'.`)
  if (!layered && layer) throw refuse(`${name} takes no layer. Leave it out.`)
  if (execution.precision && by !== 'Cam') throw refuse(`${name} takes no precision. Leave it out.`)
  const [explainer] = makeMapExplainers(model, [name], layer === null ? [] : [layer], execution)
  return explainer as MapExplainer
}
