import { expect, invalid } from '../base/check.js'
import { methodNames, methods, type MethodName } from '../methods/table.js'
import { makeMapExplainers } from '../methods/map-explainer.js'
import type { MapExplainer } from '../methods/method-maps.js'
import type { BatchMethodSettings, MethodSettings } from '../methods/options.js'
import { readMethodSettings } from '../methods/settings.js'
import type { Model } from '../model/model.js'

/** Names that batches have as options of their own. */
const ownOptions = ['execution', 'precision', 'precisionError', 'reshape', 'part', 'call', 'inputs']

/**
 * Settings of the method of a batch, from plain data.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT as readMethodSettings does, and for what is an option of its own
 */
export function checkBatchSettings(settings: BatchMethodSettings, method: MethodName): MethodSettings {
  expect.oneOf('method', method, methodNames)
  for (const name of Object.keys(expect.options(settings, 'settings')))
    if (ownOptions.includes(name))
      throw invalid(`settings.${name}`, `left out: ${name} is an option of its own`, settings[name as never])
  return readMethodSettings(settings, [method])
}

/** An explainer of one method, whose results have one map each. */
export function makeExplainer(
  name: MethodName,
  model: Model,
  layer: string | null,
  settings: MethodSettings = {},
): MapExplainer {
  expect.oneOf('method', name, methodNames)
  const { layered, by } = methods[name]
  if (layered && (typeof layer !== 'string' || layer === ''))
    throw invalid('layer', `the path of a layer, e.g. 'features', for the method ${name}`, layer ?? undefined)
  if (!layered && layer) throw invalid('layer', `left out for the method ${name}, which takes none`, layer)
  for (const setting of ['precision', 'precisionError'] as const)
    if (settings[setting] !== undefined && by !== 'Cam')
      throw invalid(setting, `left out for the method ${name}, which takes none`, settings[setting])
  for (const setting of ['reshape', 'part', 'call'] as const)
    if (settings[setting] !== undefined && !layered)
      throw invalid(setting, `left out for the method ${name}, which takes no layer`, settings[setting])
  const [explainer] = makeMapExplainers(model, [name], layer === null ? [] : [layer], settings)
  return explainer as MapExplainer
}
