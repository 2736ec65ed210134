import { imagenetLabels } from '../architectures/architecture.js'
import { fixedImageSize, fixedSpatialSizes } from '../model/model-input.js'
import { localFile } from '../jobs/local-file.js'
import { planOfWeights, type LoadedWeights } from '../model/open-plan.js'
import { ScriptModule, type LoadOptions } from '../model/script-module.js'
import { several, single } from './arguments.js'
import type { Option, Values } from './command.js'

/** The options by which a command is given its model. */
export const modelFlags = {
  weights: {
    type: 'string',
    value: 'FILE',
    help: 'the weights (.pth, .ckpt, .safetensors) where the model is an architecture by name: see gradcam architectures',
  },
  'model-cache': {
    type: 'string',
    value: 'DIR',
    help: "where copies of models that are s3://bucket/key are kept; by default in this user's cache, see gradcam cache",
  },
  library: {
    type: 'string',
    multiple: true,
    value: 'FILE',
    help: 'a shared library with operators that the model uses; its code runs in this process; may be repeated',
  },
} as const satisfies Record<string, Option>

/** The model that a command was given: an architecture by name, or paths on this machine. */
export interface ModelChoice {
  readonly file: string
  readonly weights: string | undefined
  readonly libraries: readonly string[]
}

/** Objects of a storage are fetched, where they are not in the cache. */
export async function chooseModel(
  file: string,
  values: Values,
  weights: string | undefined = single(values, 'weights'),
): Promise<ModelChoice> {
  const cache = single(values, 'model-cache')
  return {
    file: await localFile(file, 'model', cache),
    weights: weights === undefined ? undefined : await localFile(weights, 'file of weights', cache),
    libraries: several(values, 'library'),
  }
}

export async function loadChoice(choice: ModelChoice, loading: LoadOptions): Promise<ScriptModule> {
  const [model] = await loadChoices(choice, [loading.device ?? 'cpu'], loading)
  return model as ScriptModule
}

/** A model for each of these devices. */
export async function loadChoices(
  { file, weights, libraries }: ModelChoice,
  devices: readonly string[],
  loading: Omit<LoadOptions, 'device'>,
): Promise<ScriptModule[]> {
  const options = { ...loading, libraries, ...(weights !== undefined && { weights }) }
  const models = await ScriptModule.loadEach(file, devices, options)
  sayWhereFound(models[0]?.weights ?? null)
  return models
}

/** Says where in their file weights were found, if that is not the file itself. */
export function sayWhereFound(weights: LoadedWeights | null): void {
  const { prefix = '', key = null, dtype = 'float32' } = weights ?? {}
  if (dtype === 'float16' || dtype === 'bfloat16')
    process.stderr.write(`gradcam: the weights are ${dtype} in the file, and float32 in the model.\n`)
  if (prefix === '' && key === null) return
  const names = prefix === '' ? '' : ` with names that begin with '${prefix}'`
  process.stderr.write(`gradcam: the weights were found${key === null ? '' : ` under '${key}'`}${names}.\n`)
}

/** [height, width] of the images that a model takes: as it was exported, or as its weights were published for. */
export function imageSizeOf(model: ScriptModule): readonly [number, number] | null {
  const { crop } = (model.weights?.preprocess ?? {}) as { crop?: readonly [number, number] }
  return fixedImageSize(model.inputs) ?? crop ?? null
}

/** The spatial sizes of the inputs that a model takes: those of images, or those of volumes and signals that its file fixes. */
export const inputSizesOf = (model: ScriptModule): readonly number[] | null =>
  imageSizeOf(model) ?? fixedSpatialSizes(model.inputs)

/** What a file of weights says before the model is loaded; null for a model of one file. */
export const weightsOf = ({ file, weights }: ModelChoice): LoadedWeights | null =>
  weights === undefined ? null : planOfWeights(file, weights).loaded

/** The labels of ImageNet, where weights have as many classes and were published for them. */
export function labelsOf(weights: LoadedWeights | null): readonly string[] | null {
  const labels = imagenetLabels()
  return weights?.preprocess && weights.classes === labels.length ? labels : null
}
