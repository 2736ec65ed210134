import type { NativeExplained, NativeMap } from '../addon/native-pass.js'
import type { TensorHandle } from '../addon/native-values.js'
import { camMethods, type CamMethod, type CamMethodFacts } from './cam-methods.js'
import { show } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { conditionOf, type MapCondition } from '../explain/condition.js'
import { disposeExplained, type Explained, type Run } from '../explain/explained.js'
import type { ExecutionPath } from '../explain/execution.js'
import { endingOf, notesOf, type ModelNote } from '../model/model-notes.js'
import type { Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import { disposeValue, type Value } from '../tensor/values.js'

/** One map and what it explains. */
export interface CamMap {
  readonly method: CamMethod
  /** Null for the one map of several layers. */
  readonly layer: string | null
  /** The shape of what the layer returned; null likewise. */
  readonly layerShape: readonly number[] | null
  /** [N, 1, ...]; it belongs to the explanation. */
  readonly map: Tensor
  /** For each image, whether the map is zero everywhere: the method found no evidence. */
  readonly allZero: readonly boolean[]
  /** For each image, whether the map holds NaN or an infinity: the model overflowed, or was given such an image. */
  readonly nonFinite: readonly boolean[]
  /** For each image, whether the map says something, and if not, why. */
  readonly conditions: readonly MapCondition[]
  /** How often the pass called the layer; null likewise. The last call is explained, unless `call` says which. */
  readonly calls: number | null
}

/** A method that made no maps, and why. */
export interface CamFailure {
  readonly method: CamMethod
  /** A GradCamError for every error of this package. */
  readonly error: unknown
}

/** The condition of each image of a map. */
export function camConditions(
  model: Model,
  { layers, scores }: Pick<NativeExplained, 'layers' | 'scores'>,
  { allZero, nonFinite, constant, sameScores }: Pick<NativeMap, 'allZero' | 'nonFinite' | 'constant' | 'sameScores'>,
  method: CamMethod,
  layer: { readonly path: string; readonly index: number } | null,
): MapCondition[] {
  const { target, reruns, averages }: CamMethodFacts = camMethods[method]
  const evidence = layer ? layers[layer.index] : undefined
  return allZero.map((zero, image) =>
    conditionOf({
      zero,
      nonFinite: nonFinite[image] ?? false,
      score: scores.length === allZero.length ? scores[image] : undefined,
      ending: endingOf(model),
      scored: target,
      gradient: target && (reruns === undefined || reruns === 'gradient'),
      zeroActivation: evidence?.zeroActivation[image],
      zeroGradient: evidence?.zeroGradient[image],
      constant: constant[image],
      sameScores: sameScores[image],
      onePosition: evidence !== undefined && hasOnePosition(evidence.shape),
      cancelledGradient: averages && evidence?.cancelledGradient[image],
      nonFiniteActivation: evidence?.nonFinite[image],
      layer: layer?.path ?? null,
      dtype: model.dtype,
    }),
  )
}

const hasOnePosition = ([, , ...spatial]: readonly number[]): boolean =>
  spatial.length > 0 && spatial.every((size) => size === 1)

/** @internal The methods that failed, in their order. */
export function failuresOf(
  { failures }: Pick<NativeExplained, 'failures'>,
  methods: readonly CamMethod[],
): readonly CamFailure[] {
  return methods.flatMap((method, m) => (failures[m] ? [{ method, error: failures[m] }] : []))
}

/** @internal Throws the error of a method that failed. */
export function throwFailure(failures: readonly CamFailure[], method: CamMethod): void {
  const failure = failures.find((one) => one.method === method)
  if (failure) throw failure.error
}

/** @internal What each channel adds to a map. */
export function contributionOf(map: Partial<NativeMap> | undefined, method: CamMethod): TensorHandle {
  const { principal }: CamMethodFacts = camMethods[method]
  if (principal)
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `The map of ${method} is a principal component over channels, so that no channel adds a part of its own.`,
      { remedy: 'Take the map itself, or a method that sums over channels.' },
    )
  if (map?.contribution) return map.contribution
  throw new GradCamError('ERR_INVALID_ARGUMENT', 'What each channel adds was not kept.', {
    remedy: 'Make the explainer with `contributions: true`; the mean of an augmented explanation has none.',
  })
}

/** The position of the map of a layer and a method in the native result. */
export function mapIndex(
  layers: readonly string[],
  methods: readonly string[],
  aggregated: boolean,
  layer: string | undefined,
  method: string | undefined,
): [byMethod: number, byLayer: number] {
  const byMethod = method === undefined ? 0 : methods.indexOf(method)
  if (byMethod < 0)
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `${show(method)} is not among the methods that this explainer was made for: ${methods.join(', ')}.`,
      { details: { method: show(method), methods } },
    )
  if (layer === undefined) return [byMethod, 0]
  const byLayer = layers.indexOf(layer)
  if (byLayer < 0)
    throw new GradCamError(
      'ERR_LAYER_NOT_FOUND',
      `${show(layer)} is not among the layers that this explainer was made for: ${layers.map((l) => `'${l}'`).join(', ')}.`,
      { details: { layer: show(layer), layers } },
    )
  // The one map of one layer is that layer's.
  if (aggregated && layers.length > 1)
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `The maps of all layers were aggregated, so '${layer}' has none of its own.`,
      { remedy: 'Leave the layer out.', details: { layer } },
    )
  return [byMethod, byLayer]
}

/** What {@link Cam.explain} found. Owns all its tensors. */
export class CamExplanation<Output extends Value = Tensor> implements Explained, Disposable {
  /** The model's output, e.g. logits [N, C], off the graph. */
  readonly output: Output
  readonly targets: readonly number[]
  readonly scores: readonly number[]
  /** The path to the part of the output that was taken where none was named; absent where the output is one tensor. */
  declare readonly of?: readonly (string | number)[]
  readonly layers: readonly string[]
  readonly methods: readonly CamMethod[]
  /** All maps, by method, then by layer; none of a method that failed. */
  readonly maps: readonly CamMap[]
  /** The methods that made no maps while others did, each with its error. Where all fail, `explain` rejects. */
  readonly failures: readonly CamFailure[]
  /** Whether the pass ran split or hooked. */
  readonly execution: ExecutionPath
  /** What LibTorch and the model warned of meanwhile, each text once. */
  readonly warnings: readonly string[]
  /** What makes results of this model depend on more than the image: nothing for most models. */
  readonly notes: readonly ModelNote[]
  readonly #run: Run<Output>
  readonly #aggregated: boolean
  #disposed = false

  /** @internal */
  constructor(run: Run<Output>, layers: readonly string[], methods: readonly CamMethod[], aggregated: boolean) {
    const { explained } = run
    this.output = run.output
    this.execution = run.execution
    this.notes = notesOf(run.model)
    this.targets = explained.classes
    this.scores = explained.scores
    if (explained.of.length > 0) this.of = explained.of
    this.warnings = run.warnings
    this.layers = layers
    this.methods = methods
    this.#run = run
    this.#aggregated = aggregated
    const describe = (method: CamMethod, found: NativeMap, i: number): CamMap => ({
      method,
      layer: aggregated ? null : (layers[i] ?? null),
      layerShape: aggregated ? null : (explained.layers[i]?.shape ?? null),
      map: Tensor.own(found.map),
      allZero: found.allZero,
      nonFinite: found.nonFinite,
      conditions: camConditions(
        run.model,
        explained,
        found,
        method,
        aggregated ? null : { path: layers[i] as string, index: i },
      ),
      calls: aggregated ? null : (explained.layers[i]?.calls ?? null),
    })
    this.failures = failuresOf(explained, methods)
    this.maps = methods.flatMap((method, m) => (explained.maps[m] ?? []).map((map, i) => describe(method, map, i)))
  }

  /** The first map. */
  get cam(): Tensor {
    return this.get()
  }

  /**
   * A map, [N, 1, ...]. It belongs to this explanation.
   *
   * @param layer the first by default; left out where the maps of several layers are aggregated
   * @param method the first by default
   * @throws the error of a method that failed: see `failures`
   */
  get(layer?: string, method?: CamMethod): Tensor {
    const [byMethod, byLayer] = mapIndex(this.layers, this.methods, this.#aggregated, layer, method)
    throwFailure(this.failures, this.methods[byMethod] as CamMethod)
    const before = this.methods.slice(0, byMethod).filter((each) => this.failures.every((one) => one.method !== each))
    return (this.maps[before.length * (this.#aggregated ? 1 : this.layers.length) + byLayer] as CamMap).map
  }

  /**
   * What each channel adds to a map, [N, C, ...] in the size of the layer: before the sum over channels, max(., 0) and any resizing.
   * Captum calls it the attribution of the layer. For the caller to dispose.
   *
   * @param layer the first by default
   * @param method the first by default
   * @throws GradCamError ERR_INVALID_ARGUMENT without the option `contributions` of {@link Cam}, and for methods that do not sum over
   *   channels; the error of a method that failed
   */
  contribution(layer?: string, method?: CamMethod): Tensor {
    const [byMethod, byLayer] = mapIndex(this.layers, this.methods, this.#aggregated, layer, method)
    const name = this.methods[byMethod] as CamMethod
    throwFailure(this.failures, name)
    using kept = Tensor.own(contributionOf(this.#run.explained.maps[byMethod]?.[byLayer], name))
    return kept.detach()
  }

  /** @internal The same explanation with other maps, which it owns from now on. */
  withMaps(maps: readonly NativeMap[]): CamExplanation<Output> {
    const perMethod = maps.length / (this.methods.length - this.failures.length)
    const rest = [...maps]
    const failed = new Set(this.failures.map(({ method }) => method))
    const byMethod = this.methods.map((method) => (failed.has(method) ? [] : rest.splice(0, perMethod)))
    for (const { map } of this.maps) map.dispose()
    this.#disposed = true
    const run = { ...this.#run, explained: { ...this.#run.explained, maps: byMethod } }
    return new CamExplanation(run, this.layers, this.methods, this.#aggregated)
  }

  /** Frees all maps and the output. Safe to call again. */
  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    disposeValue(this.output)
    for (const { map } of this.maps) map.dispose()
    disposeExplained(this.#run.explained)
  }

  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}
