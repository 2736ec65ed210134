import type { CallOptions, OnProgress } from '../addon/abort.js'
import { AttentionMap, type AttentionMethod } from '../attention/attention-map.js'
import { Cam } from '../cam/cam.js'
import type { CamFailure } from '../cam/cam-explanation.js'
import { camMethods, type CamMethod } from '../cam/cam-methods.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import type { MapCondition } from '../explain/condition.js'
import type { Explained, ExplainOptions } from '../explain/explained.js'
import { FullGrad } from '../cam/full-grad.js'
import { GuidedGradCam } from '../attribution/guided-grad-cam.js'
import { InputAttribution, type InputMethod } from '../attribution/input-attribution.js'
import { InputPerturbation, type PerturbationMethod } from '../perturbation/input-perturbation.js'
import { operators } from '../tensor/operators.js'
import { expect } from '../base/check.js'
import { channelsFirst, hasChannelsLast } from '../model/expected-input.js'
import { takesAtOnce } from '../model/images-at-once.js'
import { checkModel, type Model } from '../model/model.js'
import type { Target } from '../target/target.js'
import type { Tensor } from '../tensor/tensor.js'
import { disposeValue, shareValue, type Value } from '../tensor/values.js'
import { ablateGrid } from './ablate-grid.js'
import { checkMethodNames, methods, type MethodInfo, type MethodName } from './table.js'
import type { MethodSettings } from './options.js'
import { readOtherInputs, withImages } from './other-inputs.js'

/** The maps of a batch that one method made at one layer. */
export interface MethodMap {
  readonly method: MethodName
  /** Null for a method that requires no layer. */
  readonly layer: string | null
  /** [N, 1, h, w] over the whole input, not normalised. The caller disposes it. */
  readonly map: Tensor
  /** How many ReLUs followed the rule of the method; null for a method without such a rule. */
  readonly intercepted: number | null
  /**
   * Per image, the sum of the attributions less the change of the score, which a complete method makes 0; null for other
   * methods.
   */
  readonly delta: readonly number[] | null
  /** For each image, whether the map says something, and if not, why. */
  readonly conditions: readonly MapCondition[]
  /** How often the pass called the layer; null for a method that requires none. See `CamOptions.call`. */
  readonly calls: number | null
}

/** A method that made no maps, and why. */
export interface MethodFailure {
  readonly method: MethodName
  /** A GradCamError for every error of this package. */
  readonly error: unknown
}

/** The maps of a batch that methods made in the passes that they share. The caller disposes the output and the maps. */
export interface MethodMaps {
  /** The model's output, e.g. logits [N, C]. */
  readonly output: Value
  /** The class that was explained, per image. */
  readonly targets: readonly number[]
  /** The score of that class, per image. */
  readonly scores: readonly number[]
  /** By layer, and within a layer by method; at least one. */
  readonly maps: readonly MethodMap[]
  /** The methods that made no maps while others did. */
  readonly failures: readonly MethodFailure[]
  /** What LibTorch and the model warned of meanwhile, each text once. */
  readonly warnings?: readonly string[]
  /** The path to the part of the output that was taken where none was named; absent where the output is one tensor. */
  readonly of?: readonly (string | number)[]
}

/** A target that can be given to several methods in turn. */
export type MapTarget = Exclude<Target<Value>, Function>

/** Makes the maps of methods that share their passes. */
export interface MapExplainer extends Disposable {
  readonly methods: readonly MethodName[]
  /**
   * Explains a batch [N, C, H, W], or of other spatial dimensions. Calls may overlap.
   *
   * @throws GradCamError as the class of the methods, e.g. `Cam`, does
   */
  explain(
    input: Tensor,
    options: CallOptions & { target: MapTarget; onProgress?: OnProgress | undefined },
  ): Promise<MethodMaps>
  /**
   * Explains a batch for one target after another, with one forward pass where the methods allow that. Calls must not
   * overlap.
   *
   * @param onProgress see {@link ExplainOptions.onProgress}; for one target at a time
   */
  explainEach(
    input: Tensor,
    targets: Iterable<MapTarget>,
    onProgress?: OnProgress,
  ): AsyncGenerator<MethodMaps, void, undefined>
}

/** What the classes of methods have in common. */
interface Attributing extends Disposable {
  explain(inputs: Value | readonly Value[], options: ExplainOptions<Value>): Promise<Attributed>
}
type Attributed = Explained &
  Disposable & {
    readonly output: Value
    readonly conditions: readonly MapCondition[]
    readonly intercepted?: number | null
    readonly delta?: readonly number[] | null
    readonly calls?: number
  } & ({ readonly attribution: Tensor } | { readonly cam: Tensor })

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
    const own = { ...pick(settings, ['reshape', 'part', 'call']), ...at(settings) }
    return layers.map((layer) =>
      single({ model, method: 'guided-gradcam', layer }, new GuidedGradCam(model, { layer, ...own }), settings),
    )
  },
  InputAttribution: (model, names, _, settings) =>
    names.map((name) => {
      const own = {
        ...pick(settings, ['steps', 'smooth', 'seed', 'baseline', 'maxSigma', 'fraction', 'maxDistance']),
        input: readOtherInputs(settings.inputs).at,
      }
      return single(
        { model, method: name, layer: null },
        new InputAttribution(model, { method: name as InputMethod, ...own }),
        settings,
      )
    }),
  AttentionMap: (model, names, _, settings) =>
    names.map((name) =>
      single(
        { model, method: name, layer: null },
        new AttentionMap(model, {
          method: name as AttentionMethod,
          ...pick(settings, ['tokens', 'skip']),
          ...at(settings),
        }),
        settings,
      ),
    ),
  InputPerturbation: (model, names, _, settings) =>
    names.map((name) =>
      single({ model, method: name, layer: null }, perturbing[name as PerturbationMethod](model, settings), settings),
    ),
}

/** Where the images go among a model's inputs. */
const at = ({ inputs }: MethodSettings): { input: number } => ({ input: readOtherInputs(inputs).at })

const perturbing: Readonly<Record<PerturbationMethod, (model: Model, settings: MethodSettings) => Attributing>> = {
  occlusion: (model, settings) =>
    new InputPerturbation(model, {
      method: 'occlusion',
      ...pick(settings, ['window', 'stride', 'baseline']),
      ...at(settings),
    }),
  // By default every element would be a feature, which takes a run for each pixel and channel.
  'feature-ablation': (model, settings) => ablateGrid(model, settings, at(settings).input),
  rise: (model, settings) =>
    new InputPerturbation(model, { method: 'rise', ...pick(settings, ['masks', 'seed']), ...at(settings) }),
  lime: (model, settings) => new InputPerturbation(model, { method: 'lime', ...ofFeatures(settings) }),
  'kernel-shap': (model, settings) => new InputPerturbation(model, { method: 'kernel-shap', ...ofFeatures(settings) }),
  'shapley-sampling': (model, settings) =>
    new InputPerturbation(model, { method: 'shapley-sampling', ...ofFeatures(settings) }),
}

/** What the methods that give each superpixel a value take. */
const ofFeatures = (settings: MethodSettings) => ({
  ...pick(settings, ['segments', 'samples', 'seed', 'baseline']),
  ...at(settings),
})

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

function ofLayers(
  model: Model,
  names: readonly CamMethod[],
  layers: readonly string[],
  settings: MethodSettings,
): MapExplainer {
  const own = pick(settings, [
    'precision',
    'eigenSmooth',
    'chunkSize',
    'seed',
    'samples',
    'sigma',
    'steps',
    'baseline',
    'reshape',
    'part',
    'call',
  ])
  // For a method that runs the model for each channel a split always pays; one that was asked for is made in any case.
  const execution = names.some((name) => 'reruns' in camMethods[name]) ? 'auto' : (settings.execution ?? 'auto')
  const others = readOtherInputs(settings.inputs)
  // With one input it need not be said which is meant.
  const input = settings.inputs === undefined ? {} : { input: others.at }
  const cam = new Cam(model, { layers, methods: names, execution, ...own, ...input })
  type Facts = Pick<MethodMap, 'conditions' | 'calls'>
  const toMap = (layer: string, method: CamMethod, map: Tensor, facts: Facts): MethodMap => {
    return { method, layer, map, intercepted: null, delta: null, ...facts }
  }
  const eachBut = (failures: readonly CamFailure[]) => {
    const made = names.filter((name) => failures.every(({ method }) => method !== name))
    return layers.flatMap((layer) => made.map((method) => [layer, method] as const))
  }
  return {
    methods: names,
    explain: async (images, options) => {
      using given = withImages(others, images)
      using explained = await cam.explain<Value>(given.inputs, options)
      const { targets, scores, failures, warnings, of } = explained
      const facts = (layer: string, method: CamMethod): Facts => {
        const found = explained.maps.find((one) => one.layer === layer && one.method === method)
        return { conditions: found?.conditions ?? [], calls: found?.calls ?? null }
      }
      const maps = eachBut(failures).map(([layer, method]) =>
        toMap(layer, method, explained.get(layer, method).detach(), facts(layer, method)),
      )
      return { output: shareValue(explained.output), targets, scores, maps, failures, warnings, ...(of && { of }) }
    },
    async *explainEach(images, targets, onProgress) {
      using given = withImages(others, images)
      if (!takesAtOnce(cam.model, given.inputs)) {
        for (const target of targets) yield await this.explain(images, { target, onProgress })
        return
      }
      const output = await cam.forward<Value>(given.inputs)
      try {
        for (const target of targets) {
          const explained = await cam.backward<Value>(target, { onProgress })
          const { failures } = cam
          const maps = eachBut(failures).map(([layer, method]) =>
            toMap(layer, method, cam.get(layer, method), {
              conditions: cam.conditions(layer, method),
              calls: cam.calls(layer),
            }),
          )
          yield { output: shareValue(output), ...explained, maps, failures }
        }
      } finally {
        disposeValue(output)
      }
    },
    [Symbol.dispose]: () => cam.dispose(),
  }
}

/** One method. The map of an attribution is its mean over the channels, as in the Python reference. */
function single(
  { model, method, layer }: Pick<MethodMap, 'method' | 'layer'> & { readonly model: Model },
  explainer: Attributing,
  settings: MethodSettings,
): MapExplainer {
  const others = readOtherInputs(settings.inputs)
  const explain: MapExplainer['explain'] = async (images, options) => {
    using given = withImages(others, images)
    using explained = await explainer.explain(given.inputs, options)
    const { targets, scores, conditions, intercepted = null, delta = null, calls = null, warnings = [], of } = explained
    const map = 'cam' in explained ? explained.cam.detach() : await meanOfChannels(explained.attribution, options)
    const maps = [{ method, layer, map, intercepted, delta, conditions, calls }]
    return { output: shareValue(explained.output), targets, scores, maps, failures: [], warnings, ...(of && { of }) }
  }
  const meanOfChannels = async (attribution: Tensor, options: CallOptions): Promise<Tensor> => {
    if (attribution.shape.length === 2) return attribution.unsqueeze(1) // there are none
    if (!hasChannelsLast(model, others.at, attribution.shape))
      return await callOperatorAsync(operators.mean, [attribution, 1, true], options)
    using first = channelsFirst(attribution)
    return await callOperatorAsync(operators.mean, [first, 1, true], options)
  }
  return {
    methods: [method],
    explain,
    async *explainEach(input, targets, onProgress) {
      for (const target of targets) yield await explain(input, { target, onProgress })
    },
    [Symbol.dispose]: () => explainer[Symbol.dispose](),
  }
}

/** The settings of these keys that are given. */
function pick<Key extends keyof MethodSettings>(
  settings: MethodSettings,
  keys: readonly Key[],
): Pick<MethodSettings, Key> {
  const given = keys.filter((key) => settings[key] !== undefined).map((key) => [key, settings[key]])
  return Object.fromEntries(given) as Pick<MethodSettings, Key>
}
