import type { CallOptions } from '../addon/abort.js'
import { Cam } from '../cam/cam.js'
import { camMethods, type CamMethod } from '../cam/cam-methods.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import type { Explained, ExplainOptions } from '../explain/explainer.js'
import { FullGrad } from '../cam/full-grad.js'
import { GuidedGradCam } from '../attribution/guided-grad-cam.js'
import { InputAttribution, type InputMethod } from '../attribution/input-attribution.js'
import { InputPerturbation, type PerturbationMethod } from '../perturbation/input-perturbation.js'
import { operators } from '../tensor/operators.js'
import type { Model } from '../model/model.js'
import type { Target } from '../target/target.js'
import type { Tensor } from '../tensor/tensor.js'
import { disposeValue, shareValue, type Value } from '../tensor/values.js'
import { ablateGrid } from './ablate-grid.js'
import { methods, type MethodFacts, type MethodName } from './table.js'
import type { MethodSettings } from './options.js'

/** What one method found at one layer. */
export interface FoundMap {
  readonly method: MethodName
  readonly layer: string | null
  /** [N, 1, h, w] over the whole input, not normalised. It belongs to whoever is given it. */
  readonly map: Tensor
  /** How many ReLUs followed the rule of the method; null where it has none. */
  readonly intercepted: number | null
  /** How far the attributions are from adding up, per image; null where the method does not say. */
  readonly delta: readonly number[] | null
}

/** What methods that share their passes found for a batch. The tensors belong to whoever is given it. */
export interface FoundMaps {
  /** The model's output, e.g. logits [N, C]. */
  readonly output: Value
  readonly targets: readonly number[]
  readonly scores: readonly number[]
  readonly maps: readonly FoundMap[]
}

/** A target that can be said again, for another method. */
export type MapTarget = Exclude<Target<Value>, Function>

/** Methods that share their passes, as maps. */
export interface MapExplainer extends Disposable {
  /** Calls may overlap. */
  explain(input: Tensor, options: CallOptions & { target: MapTarget }): Promise<FoundMaps>
  /** Target after target, from one forward pass where the methods allow that. Not to be overlapped. */
  explainEach(input: Tensor, targets: Iterable<MapTarget>): AsyncGenerator<FoundMaps, void, undefined>
}

/** What each of the classes has in common with the others. */
interface Attributing extends Disposable {
  explain(input: Tensor, options: ExplainOptions<Value>): Promise<Attributed>
}
type Attributed = Explained &
  Disposable & {
    readonly output: Value
    readonly intercepted?: number | null
    readonly delta?: readonly number[] | null
  } & ({ readonly attribution: Tensor } | { readonly cam: Tensor })

type Maker = (
  model: Model,
  names: readonly MethodName[],
  layers: readonly string[],
  settings: MethodSettings,
) => MapExplainer[]

/** How each class makes maps: as few explainers as can share their passes. */
const makers: Readonly<Record<MethodFacts['by'], Maker>> = {
  Cam: (model, names, layers, settings) => [ofLayers(model, names as readonly CamMethod[], layers, settings)],
  FullGrad: (model) => [single('fullgrad', null, new FullGrad(model))],
  GuidedGradCam: (model, _, layers) =>
    layers.map((layer) => single('guided-gradcam', layer, new GuidedGradCam(model, { layer }))),
  InputAttribution: (model, names, _, settings) =>
    names.map((name) => {
      const own = pick(settings, ['steps', 'smooth'])
      return single(name, null, new InputAttribution(model, { method: name as InputMethod, ...own }))
    }),
  InputPerturbation: (model, names, _, settings) =>
    names.map((name) => single(name, null, perturbing[name as PerturbationMethod](model, settings))),
}

const perturbing: Readonly<Record<PerturbationMethod, (model: Model, settings: MethodSettings) => Attributing>> = {
  occlusion: (model, settings) =>
    new InputPerturbation(model, { method: 'occlusion', ...pick(settings, ['window', 'stride']) }),
  // By default every element would be a feature: as many runs as an image has pixels and channels.
  'feature-ablation': (model, { window }) => ablateGrid(model, window),
  rise: (model, settings) => new InputPerturbation(model, { method: 'rise', ...pick(settings, ['masks', 'seed']) }),
}

/**
 * Explainers of all these methods at all these layers, as few as can share their passes. The caller disposes them.
 *
 * @param layers for the methods that look at one; at least one then
 */
export function makeMapExplainers(
  model: Model,
  names: readonly MethodName[],
  layers: readonly string[],
  settings: MethodSettings = {},
): MapExplainer[] {
  const made: MapExplainer[] = []
  try {
    for (const by of new Set(names.map((name) => methods[name].by))) {
      const own = names.filter((name) => methods[name].by === by)
      made.push(...makers[by](model, own, layers, settings))
    }
    return made
  } catch (error) {
    for (const explainer of made) explainer[Symbol.dispose]()
    throw error
  }
}

function ofLayers(
  model: Model,
  names: readonly CamMethod[],
  layers: readonly string[],
  settings: MethodSettings,
): MapExplainer {
  const own = pick(settings, ['precision', 'eigenSmooth', 'chunkSize', 'seed'])
  // What runs again for each channel is worth being made for it; a split that was asked for is made in any case.
  const execution = names.some((name) => 'reruns' in camMethods[name]) ? 'auto' : (settings.execution ?? 'auto')
  const cam = new Cam(model, { layers, methods: names, execution, ...own })
  const found = (layer: string, method: CamMethod, map: Tensor): FoundMap => {
    return { method, layer, map, intercepted: null, delta: null }
  }
  const each = layers.flatMap((layer) => names.map((method) => [layer, method] as const))
  return {
    explain: async (input, options) => {
      using explained = await cam.explain<Value>(input, options)
      const { targets, scores } = explained
      const maps = each.map(([layer, method]) => found(layer, method, explained.get(layer, method).detach()))
      return { output: shareValue(explained.output), targets, scores, maps }
    },
    async *explainEach(input, targets) {
      const output = await cam.forward<Value>(input)
      try {
        for (const target of targets) {
          const explained = await cam.backward<Value>(target)
          const maps = each.map(([layer, method]) => found(layer, method, cam.get(layer, method)))
          yield { output: shareValue(output), ...explained, maps }
        }
      } finally {
        disposeValue(output)
      }
    },
    [Symbol.dispose]: () => cam.dispose(),
  }
}

/** One method; of an attribution the mean over the channels, as the Python reference shows it. */
function single(method: MethodName, layer: string | null, explainer: Attributing): MapExplainer {
  const explain: MapExplainer['explain'] = async (input, options) => {
    using explained = await explainer.explain(input, options)
    const { targets, scores, intercepted = null, delta = null } = explained
    const map =
      'cam' in explained
        ? explained.cam.detach()
        : await callOperatorAsync(operators.mean, [explained.attribution, 1, true], options)
    const maps = [{ method, layer, map, intercepted, delta }]
    return { output: shareValue(explained.output), targets, scores, maps }
  }
  return {
    explain,
    async *explainEach(input, targets) {
      for (const target of targets) yield await explain(input, { target })
    },
    [Symbol.dispose]: () => explainer[Symbol.dispose](),
  }
}

/** Those of the keys that are given. */
function pick<Key extends keyof MethodSettings>(
  settings: MethodSettings,
  keys: readonly Key[],
): Pick<MethodSettings, Key> {
  const given = keys.filter((key) => settings[key] !== undefined).map((key) => [key, settings[key]])
  return Object.fromEntries(given) as Pick<MethodSettings, Key>
}
