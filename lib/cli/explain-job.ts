import { isDeepStrictEqual } from 'node:util'
import { imagenet, type Normalization } from '../images/index.js'
import { methodNames, methods as table, type MethodName } from '../methods/table.js'
import type { MethodSettings } from '../methods/options.js'
import type { PlainReshape } from '../cam/reshape.js'
import { fixedImageSize } from '../model/model-input.js'
import type { ScriptModule } from '../model/script-module.js'
import { framingOf } from '../preprocess/framing.js'
import { readPreprocess, type Preprocess } from '../preprocess/preprocess.js'
import { presets } from '../preprocess/presets.js'
import { readPreprocessing, usualPreprocess } from './preprocess-option.js'
import {
  choice,
  choiceOfSeveral,
  parseReshape,
  parseSize,
  readTrust,
  several,
  single,
  usageError,
} from './arguments.js'
import type { BatchTarget } from '../batch/target.js'
import type { Values } from './command.js'
import { readLabels } from '../target/labels.js'
import { readInputs, readPath, readTarget, type InputFlag } from './model-inputs.js'
import { parseMethodSettings } from './method-settings.js'
import { labelsOf, chooseModel, weightsOf, type ModelChoice } from './model-options.js'

/** An image's size where there is none yet: what most preprocessings make of it does not depend on it. */
const nominal = [224, 224] as const

/** What is done to images for a model: what was asked for, else what its weights were published with, else as for ImageNet. */
export function preprocessFor(model: ScriptModule, { preprocess, size, normalization }: ExplainJob): Preprocess {
  const usual = preprocess ?? usualPreprocess(model.weights, () => fixedImageSize(model.inputs))
  const { mean, std } = normalization === false ? unscaled : (normalization ?? usual)
  if (size) return { resize: size, resample: 'bilinear', crop: null, fill: [0, 0, 0], mean, std }
  return { ...usual, mean, std }
}

const unscaled: Normalization = { mean: [0, 0, 0], std: [1, 1, 1] }

/** [height, width] of the model's input, as far as it does not depend on the image. */
export const inputSizeOf = (preprocess: Preprocess): readonly [number, number] => framingOf(nominal, preprocess).size

/** What `gradcam explain` was asked for. */
export interface ExplainJob {
  readonly images: readonly string[]
  readonly model: string
  readonly modelChoice: ModelChoice
  /** None where the default layer is to be used. */
  readonly layers: readonly string[]
  /** By what was typed, which the names of files contain. */
  readonly targets: ReadonlyMap<string, BatchTarget>
  readonly inputs: readonly InputFlag[]
  readonly labels: readonly string[] | null
  readonly methods: readonly MethodName[]
  readonly settings: MethodSettings
  readonly reshape: PlainReshape | null
  /** What is done to images; null for what suits the model. */
  readonly preprocess: Preprocess | null
  /** How it was given. */
  readonly preprocessName: string | null
  /** [height, width] that the whole image is resized to, and results have; null for results in the image's own size. */
  readonly size: readonly [number, number] | null
  /** Null where it was not given; false to leave images from 0 to 1. */
  readonly normalization: Normalization | false | null
  readonly device: string
  readonly trust: ReturnType<typeof readTrust>
  /** Whether images may be SVG. */
  readonly svg: boolean
  readonly out: string
  readonly json: boolean
  readonly verbose: boolean
}

/** Checks everything that can be checked before any work starts. */
export async function readJob(
  values: Values,
  images: readonly string[],
  command: 'explain' | 'concepts' = 'explain',
): Promise<ExplainJob> {
  const see = `See: gradcam ${command} --help`
  const model = single(values, 'model')
  const out = single(values, 'out')
  if (images.length === 0) throw usageError(`${command} requires at least one image. ${see}`)
  if (!model) throw usageError(`${command} requires --model FILE, or the name of an architecture. ${see}`)
  if (!out) throw usageError(`${command} requires --out DIR, the folder to write to. ${see}`)
  const methods = choiceOfSeveral(values, 'method', methodNames)
  const layers = several(values, 'layer')
  if (layers.length > 0 && !methods.some((name) => table[name].layered))
    throw usageError(
      `${methods.join(' and ')} ${methods.length > 1 ? 'take' : 'takes'} no --layer. ` +
        'Leave it out, or use gradcam or guided-gradcam.',
    )
  const settings = parseMethodSettings(values, methods)
  const reshape = parseReshape(single(values, 'reshape'))
  if (reshape && !methods.some((name) => table[name].layered))
    throw usageError(`${methods.join(' and ')} take no --reshape, which is for layers. Leave it out.`)
  const sizeText = single(values, 'size')
  const preprocessName = single(values, 'preprocess') ?? null
  if (preprocessName !== null && (sizeText !== undefined || values['normalize'] !== undefined))
    throw usageError('--preprocess says how images are resized and normalised: leave out --size and --normalize.')
  const labelsFile = single(values, 'labels')
  // Numbers are checked before a file is read; a name is checked with the labels.
  const size = sizeText === undefined ? null : parseSize(sizeText)
  const normalization = values['normalize'] === undefined ? null : readNormalization(values)
  const preprocess = preprocessName === null ? null : await readPreprocessing(preprocessName)
  const modelChoice = await chooseModel(model, values)
  const labels = labelsFile === undefined ? labelsOf(weightsOf(modelChoice)) : await readLabels(labelsFile)
  return {
    images,
    model,
    modelChoice,
    layers,
    targets: readTargets(several(values, 'target'), labels, readPath(values, 'of')),
    inputs: readInputs(values),
    labels,
    methods,
    settings,
    reshape,
    preprocess,
    preprocessName,
    size,
    normalization,
    device: single(values, 'device') ?? 'cpu',
    trust: readTrust(values, [1, 3, ...(size ?? inputSizeOf(preprocess ?? presets.imagenet))]),
    svg: values['svg'] === true,
    out,
    json: values['json'] === true,
    verbose: values['verbose'] === true,
  }
}

/** A preset, or JSON with a mean and a deviation for each channel. */
function readNormalization(values: Values): Normalization | false {
  const text = single(values, 'normalize')
  if (!text?.trimStart().startsWith('{'))
    return choice(values, 'normalize', ['imagenet', 'none'] as const) === 'imagenet' && imagenet
  try {
    const { mean, std } = readPreprocess({ resize: null, ...(JSON.parse(text) as object) })
    return { mean, std }
  } catch (error) {
    throw usageError(`--normalize: ${(error as Error).message.replace(/\.?$/, '.')}`)
  }
}

function readTargets(
  given: readonly string[],
  labels: readonly string[] | null,
  of: readonly (string | number)[] | null,
): Map<string, BatchTarget> {
  const targets = new Map<string, BatchTarget>()
  for (const name of given.length > 0 ? given : ['argmax']) {
    const target = readTarget(name, labels, of)
    // A class may be given by number and by name: it is explained once.
    if (![...targets.values()].some((one) => isDeepStrictEqual(one, target))) targets.set(name, target)
  }
  return targets
}
