import { toNpy } from '../batch/npy.js'
import { isFine, methods, type MethodName } from '../methods/table.js'
import type { Preprocess } from '../preprocess/preprocess.js'
import { presets } from '../preprocess/presets.js'
import type { Answer, AnswerMap } from './answer.js'
import type { Evaluated } from './evaluation.js'
import type { ServedModel } from './served-model.js'

// What answers say, in the form of lib/server/schemas.ts.

/** An answer of /v1/explain as JSON. */
export function describeAnswer(answer: Answer, format: 'json' | 'npy'): unknown {
  const { model, size, region, window, outputs, top, maps, notes, warnings } = answer
  return {
    model: model.name,
    size,
    region,
    window,
    outputs,
    top: top.map((one) => ({ ...one, label: labelOf(model, one.class) })),
    maps: maps.map((map) => describeMap(map, model, format)),
    notes,
    warnings,
  }
}

function describeMap(map: AnswerMap, model: ServedModel, format: 'json' | 'npy') {
  const { data, height, width } = map.values
  return {
    ...explained(map, model),
    height,
    width,
    ...(format === 'npy'
      ? { npy: toNpy(data, [height, width]).toString('base64') }
      : { values: Array.from(data, (value) => (Number.isFinite(value) ? value : null)) }),
  }
}

/** An answer whose maps were evaluated. */
export function describeEvaluated({ model, points, maps }: Evaluated): unknown {
  return {
    model: model.name,
    points,
    maps: maps.map((map) => ({ ...explained(map, model), results: map.results })),
  }
}

function explained({ method, layer, class: index, score, condition, precision }: AnswerMap, model: ServedModel) {
  return {
    method,
    layer,
    class: index,
    label: labelOf(model, index),
    score,
    condition,
    ...(precision && { precision }),
  }
}

const labelOf = ({ settings: { labels } }: ServedModel, index: number): string | null => labels?.[index] || null

/** The name of a preprocessing, where it has one. */
function presetOf(preprocess: Preprocess): string | null {
  return Object.entries(presets).find(([, preset]) => preset === preprocess)?.[0] ?? null
}

export function describeModel(served: ServedModel, isDefault: boolean): unknown {
  const { name, settings, layer, shape } = served
  return {
    name,
    file: settings.file,
    preprocess: presetOf(settings.preprocess) ?? settings.preprocess,
    isDefault,
    devices: settings.models.map(({ device }) => device),
    defaultLayer: layer,
    size: shape.slice(2),
    labels: settings.labels,
    inputs: served.expected.names,
    notes: served.notes,
  }
}

export async function describeLayers(served: ServedModel): Promise<unknown[]> {
  const { outputs, suggested } = await served.trial()
  const byPath = new Map(outputs.map((output) => [output.path, output]))
  return served.model
    .namedModules()
    .filter(({ path }) => path !== '')
    .map(({ path, typeName, parameters, hookable }) => ({
      path,
      type: typeName,
      parameters,
      explainable: hookable,
      output: byPath.get(path)?.description ?? null,
      suggested: suggested.some(({ layer }) => layer === path),
      reason: suggested.find(({ layer }) => layer === path)?.reason ?? null,
      isDefault: path === served.layer,
    }))
}

export const describeMethod = (name: MethodName): unknown => ({ name, ...methods[name], fine: isFine(name) })
