import { expect, invalid } from '../base/check.js'
import { methodNames, methods, type MethodName } from '../methods/table.js'
import { makeMapExplainers } from '../methods/map-explainer.js'
import type { MapExplainer } from '../methods/method-maps.js'
import type { MethodSettings } from '../methods/options.js'
import type { Model } from '../model/model.js'

/** An explainer of one method, whose results have one map each. */
export function makeExplainer(
  name: MethodName,
  model: Model,
  layer: string | null,
  settings: Pick<MethodSettings, 'precision' | 'precisionError' | 'reshape' | 'part' | 'call' | 'inputs'> = {},
): MapExplainer {
  expect.oneOf('method', name, methodNames)
  const { layered, by } = methods[name]
  if (layered && (typeof layer !== 'string' || layer === ''))
    throw invalid('layer', `the path of a layer, e.g. 'features', for the method ${name}`, layer ?? undefined)
  if (!layered && layer) throw invalid('layer', `left out for the method ${name}, which takes none`, layer)
  if (settings.precision !== undefined && by !== 'Cam')
    throw invalid('precision', `left out for the method ${name}, which takes none`, settings.precision)
  if (settings.precisionError !== undefined && settings.precision !== 'auto')
    throw invalid('precisionError', "left out unless `precision` is 'auto'", settings.precisionError)
  for (const setting of ['reshape', 'part', 'call'] as const)
    if (settings[setting] !== undefined && !layered)
      throw invalid(setting, `left out for the method ${name}, which takes no layer`, settings[setting])
  const [explainer] = makeMapExplainers(model, [name], layer === null ? [] : [layer], settings)
  return explainer as MapExplainer
}
