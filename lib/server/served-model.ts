import { GradCamError } from '../base/errors.js'
import { nearestName } from '../base/nearest.js'
import type { BatchExplainer } from '../batch/explain-batch.js'
import { pickLayer } from '../cam/pick-layer.js'
import { observeAndSuggest, type LayerSuggestion } from '../cam/suggest-layers.js'
import { makeMapExplainers } from '../methods/map-explainer.js'
import type { MapExplainer } from '../methods/method-maps.js'
import type { MethodSettings } from '../methods/options.js'
import { readOtherInputs, withImages } from '../methods/other-inputs.js'
import { settingsOf } from '../methods/settings.js'
import { methods, type MethodName } from '../methods/table.js'
import { expectedInput, type ExpectedInput } from '../model/expected-input.js'
import type { Model } from '../model/model.js'
import { modelNotes, type ModelNote } from '../model/model-notes.js'
import type { LayerOutput } from '../model/observe-layers.js'
import { framingOf } from '../preprocess/framing.js'
import { Tensor } from '../tensor/tensor.js'
import { disposeValue, shareValue } from '../tensor/values.js'
import type { InputsOfRequest } from './asked-inputs.js'
import { Lane, type LaneSettings } from './lane.js'
import type { ServedModelSettings } from './options.js'

/** What a model does with noise of the size that images are framed to. */
export interface ModelTrial {
  readonly outputs: readonly LayerOutput[]
  readonly suggested: readonly LayerSuggestion[]
}

/** The methods, layers and settings that one explainer serves. */
export interface LaneKey {
  readonly methods: readonly MethodName[]
  readonly layers: readonly string[]
  readonly settings: MethodSettings
  /** All inputs of a model that takes several. The lane has its own handles of them. */
  readonly inputs: Pick<InputsOfRequest, 'text' | 'values'> | null
}

/** As many lanes as a model keeps; clients choose the combinations of methods, layers and settings. */
const mostLanes = 64

/** A model of the server: its lanes, and what is said of it. */
export class ServedModel {
  /** By their keys, the one that was used last at the end. */
  readonly #lanes = new Map<string, Lane>()
  #trial: Promise<ModelTrial> | null = null

  private constructor(
    readonly settings: ServedModelSettings,
    /** The layer of requests that name none, and the reshape of that layer, or of all where the server was given one. */
    private readonly how: { readonly layer: string | null; readonly reshape: LayerSuggestion['reshape'] },
    /** What the model takes. */
    readonly expected: ExpectedInput,
    private readonly batching: LaneSettings,
  ) {}

  /**
   * Picks the layer, explains one image of noise and looks at all layers, so that the first request finds all prepared. A look at
   * the layers puts hooks on the model: an image that is explained meanwhile does not run split, and its map differs by rounding.
   */
  static async open(settings: ServedModelSettings, batching: LaneSettings): Promise<ServedModel> {
    const { models, reshape } = settings
    const first = models[0] as Model
    const expected = expectedInput(first, settings.inputs?.indexOf(null) ?? 0)
    if (settings.layer !== null) first.checkLayer(settings.layer)
    const picked = settings.layer === null ? await pick(settings, expected) : null
    const how = { layer: settings.layer ?? picked?.layer ?? null, reshape: reshape ?? picked?.reshape }
    const served = new ServedModel(settings, how, expected, batching)
    await served.#warm()
    await served.trial().catch(() => {}) // said where the layers are asked for
    return served
  }

  /** The layer of requests that name none; null where the model has no layer with spatial positions. */
  get layer(): string | null {
    return this.how.layer
  }

  get name(): string {
    return this.settings.name
  }

  get model(): Model {
    return this.settings.models[0] as Model
  }

  /** [1, channels, height, width] of what images are framed to. */
  get shape(): readonly number[] {
    return shapeOf(this.settings, this.expected)
  }

  /** The same for an input that is expected to be this. */
  shapeFor(expected: ExpectedInput): readonly number[] {
    return shapeOf(this.settings, expected)
  }

  get notes(): readonly ModelNote[] {
    return modelNotes(this.model)
  }

  /** The lane of these methods at these layers. */
  lane(key: LaneKey): Lane {
    const name = JSON.stringify([key.methods, key.layers, key.settings, key.inputs?.text ?? null])
    const lane = this.#lanes.get(name) ?? this.#open(key)
    this.#lanes.delete(name)
    this.#lanes.set(name, lane)
    return lane
  }

  /** Runs the model once, for what its layers return and which of them are suggested. */
  trial(): Promise<ModelTrial> {
    return (this.#trial ??= this.#tryOut().catch((error: unknown) => {
      this.#trial = null
      throw error
    }))
  }

  async close(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.close()))
    this.#lanes.clear()
  }

  #open({ methods: names, layers, settings, inputs }: LaneKey): Lane {
    for (const layer of layers) this.model.checkLayer(layer)
    this.#makeRoom()
    const own = layers.length > 0 ? settingsOf(this.#usual(layers), names) : {}
    const explainers: BatchExplainer[] = []
    const values = inputs && inputs.values.map(shareValue)
    const others = values ? { inputs: values } : {}
    try {
      for (const model of this.settings.models) {
        const [explainer] = makeMapExplainers(model, names, layers, { ...own, ...settings, ...others })
        if (explainer) explainers.push({ model, explainer, ...others })
      }
      return new Lane(explainers, this.batching, () => disposeValue(values))
    } catch (error) {
      for (const { explainer } of explainers) explainer[Symbol.dispose]()
      disposeValue(values)
      throw error
    }
  }

  /** Closes the lane that was not used for the longest, of those that do nothing. */
  #makeRoom(): void {
    if (this.#lanes.size < mostLanes) return
    for (const [name, lane] of this.#lanes) {
      if (!lane.isIdle) continue
      this.#lanes.delete(name)
      void lane.close()
      return
    }
    throw new GradCamError(
      'ERR_BUSY',
      `The model '${this.name}' is asked for too many combinations of methods, layers and settings.`,
    )
  }

  /** The settings of requests at these layers that give none of their own. */
  #usual(layers: readonly string[]): Pick<MethodSettings, 'reshape' | 'part'> {
    const { reshape } = this.how
    const { part } = this.settings
    const isOwn = layers.every((layer) => layer === this.layer)
    // The reshape was made for one layer, unless the operator of the server said that it holds for all.
    const holds = isOwn || this.settings.reshape !== undefined
    return { ...(holds && reshape !== undefined && { reshape }), ...(isOwn && part && { part }) }
  }

  /** Each replica prepares for itself. */
  async #warm(): Promise<void> {
    const { layer } = this.how
    if (layer === null) return
    const { inputs } = this.settings
    using noise = this.#noise()
    for (const model of this.settings.models) {
      const [explainer] = makeMapExplainers(model, ['gradcam'], [layer], {
        ...this.#usual([layer]),
        ...(inputs && { inputs }),
      }) as [MapExplainer]
      using _explainer = explainer
      const found = await explainer.explain(noise, { target: 'argmax' }).catch((error: unknown) => {
        if (!mayMissInputs(error, this.settings, this.expected)) throw error
        return null // requests give the model's other inputs
      })
      for (const { map } of found?.maps ?? []) map.dispose()
      disposeValue(found?.output)
    }
  }

  async #tryOut(): Promise<ModelTrial> {
    using noise = this.#noise()
    const { inputs } = this.settings
    const others = readOtherInputs(inputs)
    using all = withImages(others, noise)
    const { observed, suggestions } = await observeAndSuggest(this.model, all.inputs, { input: others.at })
    return { outputs: observed, suggested: suggestions }
  }

  #noise(): Tensor {
    const { dtype } = this.expected
    using noise = Tensor.rand(this.shape)
    return dtype === null ? noise.detach() : noise.to({ dtype })
  }
}

/** The lanes of a request: methods of layers share their passes, and each of the others has its own. */
export function laneKeys(
  names: readonly MethodName[],
  layers: readonly string[],
  given: MethodSettings,
  inputs: LaneKey['inputs'],
): LaneKey[] {
  const cams = names.filter((name) => methods[name].by === 'Cam').toSorted()
  const single = names.filter((name) => methods[name].by !== 'Cam')
  const settings = (own: readonly MethodName[]): MethodSettings => settingsOf(given, own)
  return [
    ...(cams.length > 0 ? [{ methods: cams, layers: layers.toSorted(), settings: settings(cams), inputs }] : []),
    ...single.flatMap((name) =>
      methods[name].layered
        ? layers.map((layer) => ({ methods: [name], layers: [layer], settings: settings([name]), inputs }))
        : [{ methods: [name], layers: [], settings: settings([name]), inputs }],
    ),
  ]
}

/** The model of that name; the first where there is no name. Throws ERR_MODEL_NOT_FOUND. */
export function findModel(models: ReadonlyMap<string, ServedModel>, name: string | undefined): ServedModel {
  const found = name === undefined ? [...models.values()][0] : models.get(name)
  if (found) return found
  const near = nearestName(name ?? '', [...models.keys()])
  throw new GradCamError('ERR_MODEL_NOT_FOUND', `The model '${name}' does not exist.`, {
    remedy: near === null ? 'GET /v1/models lists them.' : `Did you mean '${near}'?`,
    details: { model: name, models: [...models.keys()] },
  })
}

function shapeOf({ preprocess }: ServedModelSettings, { channels }: ExpectedInput): readonly number[] {
  return [1, channels ?? 3, ...framingOf([224, 224], preprocess).size]
}

/** Null where no layer has spatial positions: methods that require no layer are served all the same. */
async function pick(settings: ServedModelSettings, expected: ExpectedInput): Promise<LayerSuggestion | null> {
  const { models, inputs } = settings
  const shape = shapeOf(settings, expected)
  return await pickLayer(models[0] as Model, shape, { inputs }).catch((error: unknown) => {
    if (error instanceof GradCamError && (error.code === 'ERR_LAYER_OUTPUT' || error.code === 'ERR_MODEL_FROZEN'))
      return null
    if (mayMissInputs(error, settings, expected)) return null
    throw error
  })
}

/**
 * Whether a trial may have failed because the model has other inputs, which requests then give: it is served all the same, without
 * a layer of its own.
 */
function mayMissInputs(
  error: unknown,
  { inputs }: Pick<ServedModelSettings, 'inputs'>,
  { names }: ExpectedInput,
): boolean {
  const codes: readonly string[] = ['ERR_INVALID_ARGUMENT', 'ERR_TORCH', 'ERR_SHAPE']
  return inputs === undefined && names.length > 1 && error instanceof GradCamError && codes.includes(error.code)
}
