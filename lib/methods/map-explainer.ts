import { AttentionMap, type AttentionMethod } from '../attention/attention-map.js'
import { GuidedGradCam } from '../attribution/guided-grad-cam.js'
import { InputAttribution, type InputMethod } from '../attribution/input-attribution.js'
import { expect } from '../base/check.js'
import type { CamMethod } from '../cam/cam-methods.js'
import { FullGrad } from '../cam/full-grad.js'
import { checkModel, type Model } from '../model/model.js'
import { InputPerturbation } from '../perturbation/input-perturbation.js'
import type { SingleImageMethod } from '../perturbation/perturbation-method.js'
import { ablateGrid } from './ablate-grid.js'
import { ofLayers } from './layer-explainer.js'
import type { MapExplainer } from './method-maps.js'
import { pickSettings, type MethodSettings } from './options.js'
import { readOtherInputs } from './other-inputs.js'
import { single, type Attributing } from './single-explainer.js'
import { withLengthsOf } from './spatial-lengths.js'
import { checkMethodNames, methods, type MethodInfo, type MethodName } from './table.js'

type Maker = (
  model: Model,
  names: readonly MethodName[],
  layers: readonly string[],
  settings: MethodSettings,
) => MapExplainer[]

/** How each class makes maps: as few explainers as can share their passes. */
const makers: Readonly<Record<MethodInfo['by'], Maker>> = {
  Cam: (model, names, layers, settings) => [ofLayers(model, names as readonly CamMethod[], layers, settings)],
  FullGrad: (model, _names, _layers, settings) => [
    single({ model, method: 'fullgrad', layer: null }, new FullGrad(model, at(settings)), settings),
  ],
  GuidedGradCam: (model, _, layers, settings) => {
    const own = { ...pickSettings(settings, ['reshape', 'part', 'call']), ...at(settings) }
    return layers.map((layer) =>
      single({ model, method: 'guided-gradcam', layer }, new GuidedGradCam(model, { layer, ...own }), settings),
    )
  },
  InputAttribution: (model, names, _, settings) =>
    names.map((name) => {
      const own = {
        ...pickSettings(settings, [
          'steps',
          'smooth',
          'seed',
          'baseline',
          'maxSigma',
          'fraction',
          'maxDistance',
          'scoreLayer',
          'composite',
          'low',
          'high',
        ]),
        ...at(settings),
      }
      return single(
        { model, method: name, layer: null },
        new InputAttribution(model, { method: name as InputMethod, ...own }),
        settings,
      )
    }),
  AttentionMap: (model, names, _, settings) =>
    names.map((name) => {
      const blocks = name === 'legrad' ? pickSettings(settings, ['blocks']) : {}
      const own = { ...pickSettings(settings, ['tokens', 'skip']), ...blocks, ...at(settings) }
      const explainer = new AttentionMap(model, { method: name as AttentionMethod, ...own })
      return single({ model, method: name, layer: null }, explainer, settings)
    }),
  InputPerturbation: (model, names, _, settings) =>
    names.map((name) =>
      single({ model, method: name, layer: null }, perturbing[name as SingleImageMethod](model, settings), settings),
    ),
}

const perturbing: Readonly<Record<SingleImageMethod, (model: Model, settings: MethodSettings) => Attributing>> = {
  occlusion: (model, settings) => {
    const own = pickSettings(settings, ['window', 'stride', 'baseline'])
    const { input } = at(settings)
    const explainer = new InputPerturbation(model, { method: 'occlusion', ...own, input })
    return withLengthsOf(explainer, model, own, input)
  },
  // By default every element would be a feature, which takes a run for each pixel and channel.
  'feature-ablation': (model, settings) => ablateGrid(model, settings, at(settings).input),
  rise: (model, settings) =>
    new InputPerturbation(model, { method: 'rise', ...pickSettings(settings, ['masks', 'seed']), ...at(settings) }),
  lime: (model, settings) => new InputPerturbation(model, { method: 'lime', ...ofFeatures(settings) }),
  'kernel-shap': (model, settings) => new InputPerturbation(model, { method: 'kernel-shap', ...ofFeatures(settings) }),
  'shapley-sampling': (model, settings) =>
    new InputPerturbation(model, { method: 'shapley-sampling', ...ofFeatures(settings) }),
}

/** What the methods that give each superpixel a value take. */
const ofFeatures = (settings: MethodSettings) => ({
  ...pickSettings(settings, ['segments', 'samples', 'seed', 'baseline']),
  ...at(settings),
})

/** Where the images go among a model's inputs. */
const at = ({ inputs }: MethodSettings): { input: number } => ({ input: readOtherInputs(inputs).at })

/**
 * Explainers of all these methods at all these layers: as few as possible, since methods of one explainer share their
 * passes. The caller disposes them.
 *
 * @param layers for the methods that require one: at least one then
 * @param settings see `readMethodSettings`, which checks them
 * @throws GradCamError ERR_INVALID_ARGUMENT, ERR_LAYER_NOT_FOUND, ERR_LAYER_NOT_HOOKABLE, ERR_MODEL_FROZEN, ERR_DISPOSED
 */
export function makeMapExplainers(
  model: Model,
  names: readonly MethodName[],
  layers: readonly string[],
  settings: MethodSettings = {},
): MapExplainer[] {
  checkModel(model)
  const known = checkMethodNames(names)
  expect.list('layers', layers, isString, 'paths of layers')
  expect.options(settings, 'settings')
  const made: MapExplainer[] = []
  try {
    for (const by of new Set(known.map((name) => methods[name].by))) {
      const own = known.filter((name) => methods[name].by === by)
      made.push(...makers[by](model, own, layers, settings))
    }
    return made
  } catch (error) {
    for (const explainer of made) explainer[Symbol.dispose]()
    throw error
  }
}

const isString = (value: unknown): value is string => typeof value === 'string'
