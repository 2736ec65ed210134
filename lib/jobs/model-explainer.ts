import { announceWarnings } from '../addon/warnings.js'
import { numThreads } from '../addon/runtime.js'
import { explainAll } from '../batch/explain-all.js'
import type { BatchEntry } from '../batch/input.js'
import { targetOf } from '../batch/target.js'
import { loadInputFile } from '../batch/input-file.js'
import type { ExplainAllOptions } from '../batch/options.js'
import type { BatchExplanation, BatchResult } from '../batch/result.js'
import { pickLayer } from '../cam/pick-layer.js'
import type { PlainReshape } from '../cam/reshape.js'
import { expect, invalid, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { methods } from '../methods/table.js'
import { observeLayers } from '../model/observe-layers.js'
import { refusedInput } from '../model/refused-input.js'
import { describeInput } from '../preprocess/describe-input.js'
import type { Preprocess } from '../preprocess/preprocess.js'
import { expectedInput, noiseOf, type ExpectedInput } from '../model/expected-input.js'
import { isModel, type Model } from '../model/model.js'
import { disposeValue, type Value } from '../tensor/values.js'
import { ScriptModule, type LoadOptions } from '../model/script-module.js'
import { framingOf } from '../preprocess/framing.js'
import type { JobExplainer, JobPlan } from './job.js'
import { localFile } from './local-file.js'
import type { JobSpec } from './job-spec.js'

/** How {@link ModelExplainer} runs a model: nothing of this changes a result. */
export interface ModelExplainerOptions extends Pick<
  ExplainAllOptions,
  'batchSize' | 'window' | 'memory' | 'concurrency' | 'maxPixels' | 'decodeSeconds' | 'svg' | 'maxWait'
> {
  /**
   * The model of the job, or several replicas of it, already loaded. They are not disposed. By default the file that the
   * specification names is loaded once for each of `devices`, and disposed in the end.
   */
  model?: Model | readonly Model[]
  /** Devices to load the model on, e.g. ['cuda:0', 'cuda:1']; ['cpu'] by default. Replicas on the CPU share its threads. */
  devices?: readonly string[]
  /** Whether that file is trusted: see `LoadOptions`. */
  trust?: 'trusted' | 'untrusted'
  /** Shared libraries with operators that the model uses: see `LoadOptions`. */
  libraries?: readonly (string | URL)[]
  /**
   * The folder for copies of models that are objects of a storage (s3://bucket/key), by default 'models' in this package's folder
   * of the user's cache. A copy is used again where the storage still has the same object, also by other processes.
   */
  modelCache?: string
}

/** Explains the inputs of a job with models in this process, by `explainAll`. */
export class ModelExplainer implements JobExplainer {
  readonly #tuning: Omit<ModelExplainerOptions, 'model' | 'devices' | 'trust' | 'libraries' | 'modelCache'>
  readonly #given: readonly Model[] | null
  readonly #devices: readonly string[]
  readonly #loading: Pick<LoadOptions, 'trust' | 'libraries'>
  readonly #cache: string | undefined
  #models: readonly Model[] = []
  #inputs: readonly Value[] | undefined
  #job: ({ readonly spec: JobSpec } & Chosen) | null = null

  /** @throws GradCamError ERR_INVALID_ARGUMENT */
  constructor(options: ModelExplainerOptions = {}) {
    const {
      model,
      devices = ['cpu'],
      trust = 'trusted',
      libraries = [],
      modelCache,
      ...tuning
    } = expect.options(options)
    const models: unknown[] | null = model === undefined ? null : (toList(model) ?? [model])
    if (models && (models.length === 0 || !models.every(isModel)))
      throw invalid('model', 'a loaded model, such as a ScriptModule, or an array of at least one', model)
    if (modelCache !== undefined) expect.path('modelCache', modelCache)
    this.#cache = modelCache
    this.#tuning = tuning
    this.#loading = { trust: expect.oneOf('trust', trust, ['trusted', 'untrusted']), libraries }
    this.#devices = expect.strings('devices', devices, "['cpu']")
    this.#given = models
  }

  /**
   * @throws GradCamError as `ScriptModule.load` does, and ERR_LAYER_OUTPUT where the job names no layer and none has a
   *   spatial output
   */
  async open(spec: JobSpec): Promise<JobPlan> {
    expect.string('spec.model.path', expect.options(expect.options(spec, 'spec').model, 'spec.model').path)
    this.#models = this.#given ?? (await loadReplicas(spec, this.#devices, this.#loading, this.#cache))
    try {
      const [model] = this.#models as [Model, ...Model[]]
      this.#inputs = await loadInputs(model, spec, this.#cache)
      const chosen = await layerOf(model, spec, this.#inputs)
      this.#job = { spec, ...chosen }
      const refused = await tryBlank(model, spec, this.#inputs)
      const expected = expectedInput(model, this.#inputs?.indexOf(null) ?? 0)
      const images = describeInput(expected, spec.preprocess)
      const devices = this.#models.map(({ device }) => device)
      const plan = { ...chosen, devices, ...(takesArrays(expected) && { arrays: true }) }
      return { ...plan, ...(images !== '' && { images }), ...(refused !== null && { refused }) }
    } catch (error) {
      await this.close()
      throw error
    }
  }

  explain<Extra>(
    inputs: AsyncIterable<BatchEntry>,
    finish: (result: BatchExplanation<unknown>) => Promise<Extra>,
  ): AsyncIterable<BatchResult<Extra>> {
    if (!this.#job) throw new GradCamError('ERR_CLOSED', 'The explainer is not open. Call open() first.')
    const { spec, layer, reshape } = this.#job
    const { method, precision, precisionError, settings, part, call, target, of, preprocess } = spec
    return explainAll<Extra>(inputs, {
      maxWait: 1000,
      ...this.#tuning,
      model: this.#models,
      method,
      ...(precision && { precision }),
      ...(precisionError !== undefined && { precisionError }),
      ...(settings && { settings }),
      ...(layer !== null && { layer }),
      ...(reshape !== undefined && { reshape }),
      ...(part && { part }),
      ...(call !== undefined && { call }),
      target,
      ...(of && { of }),
      ...(this.#inputs && { inputs: this.#inputs }),
      preprocess,
      order: 'ready',
      sha256: true,
      finish: (result) => {
        announceWarnings(result.warnings) // lines of a job cannot hold them
        return finish(result)
      },
    })
  }

  async close(): Promise<void> {
    if (!this.#given) for (const model of this.#models) model.dispose()
    this.#models = []
    disposeValue(this.#inputs)
    this.#inputs = undefined
    this.#job = null
  }
}

/** A model for each device. */
async function loadReplicas(
  { model: { path, architecture }, preprocess }: JobSpec,
  devices: readonly string[],
  loading: Pick<LoadOptions, 'trust' | 'libraries'>,
  cache: string | undefined,
): Promise<Model[]> {
  const file = await localFile(path, 'model', cache)
  const { size } = framingOf([224, 224], preprocess)
  const trial = { shape: [1, 3, ...size] }
  return await ScriptModule.loadEach(architecture ?? file, devices, {
    ...threadsOfReplicas(devices),
    ...loading,
    trial,
    ...(architecture !== undefined && { weights: file }),
  })
}

/** The threads of LibTorch for each of these replicas, which share those of the CPU. */
export function threadsOfReplicas(devices: readonly string[]): { readonly threads?: number } {
  const onCpu = devices.filter((device) => device === 'cpu').length
  const shared = onCpu > 1 && !process.env['OMP_NUM_THREADS']
  return shared ? { threads: Math.max(1, Math.floor(numThreads() / onCpu)) } : {}
}

/** The layer that is explained, and how its output becomes [N, C, h, w]. */
type Chosen = Pick<JobPlan, 'layer' | 'reshape'>

/** The other inputs of the model, as the explainers take them. */
async function loadInputs(
  model: Model,
  { inputs, preprocess }: JobSpec,
  cache: string | undefined,
): Promise<readonly Value[] | undefined> {
  if (!inputs) return undefined
  const loaded: Value[] = []
  for (const [at, input] of inputs.entries())
    loaded.push(
      typeof input === 'object' && input !== null
        ? await loadInputFile(await localFile(input.path, 'input', cache), { model, input: at, preprocess })
        : input,
    )
  return loaded
}

/**
 * Runs the model once on noise, where all images of the job get one size.
 *
 * @returns the error, where it fails; null where it runs, or there is no such size
 */
async function tryBlank(model: Model, { preprocess }: JobSpec, inputs: readonly Value[] | undefined): Promise<unknown> {
  const at = inputs?.indexOf(null) ?? 0
  const { channels, dimensions, dtype } = expectedInput(model, at)
  if ((dimensions !== null && dimensions !== 2) || !isOneSize(preprocess)) return null
  if (dtype === 'int64') return null // no image
  const shape = [1, channels ?? 3, ...framingOf([224, 224], preprocess).size]
  using noise = noiseOf(shape, dtype)
  const all = inputs?.map((value, i) => (i === at ? noise : value)) ?? noise
  try {
    await observeLayers(model, all)
    return null
  } catch (error) {
    return await refusedInput(error, model, all, at)
  }
}

/** Whether a model takes what an image of grey or colours cannot hold. */
const takesArrays = ({ channels, dimensions }: ExpectedInput): boolean =>
  (dimensions !== null && dimensions !== 2) || (channels !== null && channels !== 1 && channels !== 3)

/** Whether images of all sizes are framed to one. */
function isOneSize(preprocess: Preprocess): boolean {
  const sizes = [
    [224, 224],
    [480, 640],
    [777, 333],
  ] as const
  return new Set(sizes.map((size) => framingOf(size, preprocess).size.join())).size === 1
}

/** The layer of the job, or the one that is picked at the size that images are framed to. */
async function layerOf(model: Model, spec: JobSpec, inputs: readonly Value[] | undefined): Promise<Chosen> {
  const { layer, reshape, method, preprocess } = spec
  if (layer !== null || !methods[method].layered) return { layer, ...(reshape !== undefined && { reshape }) }
  const { channels, dimensions } = expectedInput(model, inputs?.indexOf(null) ?? 0)
  if (dimensions !== null && dimensions !== 2)
    throw new GradCamError(
      'ERR_INVALID_ARGUMENT',
      `The model takes inputs of ${dimensions} spatial ${dimensions === 1 ? 'dimension' : 'dimensions'}, whose size nothing says, so no layer is picked.`,
      { remedy: 'Name the layer to explain.' },
    )
  const { size } = framingOf([224, 224], preprocess)
  const target = spec.of ? targetOf(spec.target, spec.of) : spec.target
  const picked = await pickLayer(model, [1, channels ?? 3, ...size], { inputs, target })
  const own = reshape ?? (picked.reshape as PlainReshape | undefined)
  return { layer: picked.layer, ...(own !== undefined && { reshape: own }) }
}
