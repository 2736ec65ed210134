import { GradCamError } from '../base/errors.js'
import { invalid, show } from '../base/check.js'
import { usualTop } from '../batch/explain-batch.js'
import { checkBatchTarget, targetOf, type BatchTarget } from '../batch/target.js'
import type { MethodSettings } from '../methods/options.js'
import { readMethodSettings } from '../methods/settings.js'
import { methods, type MethodName } from '../methods/table.js'
import { parseTarget } from '../target/labels.js'
import type { TargetData } from '../target/target.js'
import type { GivenInput, InputsOfRequest } from './asked-inputs.js'
import { findModel, type ServedModel } from './served-model.js'

/** What a request asks for, as its schema lets it through. */
export interface Ask {
  readonly model?: string
  readonly method?: readonly MethodName[]
  readonly layer?: readonly string[]
  readonly target?: readonly (string | number | TargetData)[]
  readonly of?: readonly (string | number)[]
  readonly top?: number
  readonly settings?: Readonly<Record<string, unknown>>
  /** Other inputs of the model, by name or position. */
  readonly inputs?: Readonly<Record<string, GivenInput>>
}

/** The most maps of one request. */
export const mostMaps = 64

/** The same, checked against its model. */
export interface Plan {
  readonly model: ServedModel
  readonly names: readonly MethodName[]
  readonly layers: readonly string[]
  readonly targets: readonly BatchTarget[]
  /** How many of the highest classes the answer names. */
  readonly top: number
  readonly settings: MethodSettings
  /** All inputs of a model that takes several; null where the image is the only one. */
  readonly inputs: InputsOfRequest | null
}

/** Checks everything that can be checked before the image is decoded. */
export function planOf(
  ask: Ask,
  models: ReadonlyMap<string, ServedModel>,
  offered: readonly MethodName[],
): Omit<Plan, 'inputs'> {
  const model = findModel(models, ask.model)
  const { method: names = [usualOf(offered)], target: targets = ['argmax'], layer, top = usualTop } = ask
  for (const name of names)
    if (!offered.includes(name))
      throw new GradCamError('ERR_METHOD', `This server does not offer the method ${name}.`, {
        remedy: 'GET /v1/methods lists what it offers.',
      })
  const layered = names.filter((name) => methods[name].layered)
  if (layer && layered.length === 0) throw invalid('layer', `left out for ${names.join(', ')}, which take none`, layer)
  const layers = layer ?? (model.layer === null ? [] : [model.layer])
  if (layered.length > 0 && layers.length === 0)
    throw invalid(
      'layer',
      `the path of a layer for ${layered.join(', ')}: the model has no layer by default`,
      undefined,
    )
  for (const path of layers) model.model.checkLayer(path)
  const settings = readMethodSettings(ask.settings ?? {}, names)
  const read = targets.map((target) => readTarget(target, model, ask.of))
  const plan = { model, names, layers, targets: read, top, settings }
  if (countOf(plan) > mostMaps)
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `A request may ask for ${mostMaps} maps, but this one asks for ${countOf(plan)}.`,
      { remedy: 'Send several requests.' },
    )
  return plan
}

/** How many maps the answer has. */
export const countOf = ({ names, layers, targets }: Pick<Plan, 'names' | 'layers' | 'targets'>): number =>
  targets.length * names.reduce((sum, name) => sum + (methods[name].layered ? layers.length : 1), 0)

/** The method of requests that name none. */
function usualOf(offered: readonly MethodName[]): MethodName {
  return offered.includes('gradcam') ? 'gradcam' : (offered[0] as MethodName)
}

function readTarget(
  target: string | number | TargetData,
  { settings: { labels } }: ServedModel,
  of: Ask['of'],
): BatchTarget {
  const given = typeof target === 'string' ? parseTarget(target, labels) : target
  if (typeof target === 'object' && 'mask' in target && !Array.isArray(target.mask))
    throw new GradCamError('ERR_TARGET', `${show(target)} is not a target: its mask must be nested arrays.`)
  const read = of === undefined ? given : targetOf(given, of.map(toPosition))
  checkBatchTarget(read)
  return read
}

/** Of a query, where all is text, digits are a position. */
const toPosition = (step: string | number): string | number =>
  typeof step === 'string' && /^\d{1,6}$/.test(step) ? Number(step) : step
