import { openIfReadable, type ByteSource } from '../archive/byte-source.js'
import type { StoredDType } from '../archive/stored-tensor.js'
import { Zip } from '../archive/zip.js'
import {
  findArchitecture,
  preprocessOf,
  readArchitecturePlan,
  type Architecture,
} from '../architectures/architecture.js'
import { fittingArchitecture, unknownArchitecture } from '../architectures/describe-weights.js'
import { fitWeights, type FittedPlan } from '../architectures/fit-weights.js'
import { readWeights, type WeightsFile } from '../architectures/weights-file.js'
import { GradCamError } from '../base/errors.js'
import type { ModelPlan } from '../exported/plan.js'
import { isProgramArchive, programTextLength } from '../exported/program-file.js'
import { translateProgram } from '../exported/translate.js'
import { libraryBeside } from './operator-library.js'

/** What a model was put together from, where it was an architecture of this package and a file of weights. */
export interface LoadedWeights {
  /** The name of the architecture. */
  readonly architecture: string
  /** How many classes the weights have. */
  readonly classes: number
  /** What their names begin with, e.g. 'module.'; '' for nothing. */
  readonly prefix: string
  /** The key of the dict in the file that holds them, e.g. 'state_dict'; null where they are the file itself. */
  readonly key: string | null
  /** The type of the file's first parameter. Half precision is widened to float32, as `load_state_dict` in Python does. */
  readonly dtype: StoredDType
  /** What is done to images for these weights, as the option `preprocess` takes it; null where nothing is known. */
  readonly preprocess: Readonly<Record<string, unknown>> | null
}

/**
 * The plan of a model file that is not TorchScript. Null for all other files, which the addon reads, or refuses.
 *
 * @throws GradCamError as `translateProgram` does
 */
export function readPlan(from: string | Uint8Array, device: string): ModelPlan | null {
  using source = openIfReadable(from)
  const zip = source && zipOf(source)
  return source && zip && isProgramArchive(zip) ? translateProgram(source, zip, device) : null
}

/** How long the text of an exported program is, in bytes; null for a file of another kind. */
export function programLength(from: string | Uint8Array): number | null {
  using source = openIfReadable(from)
  const zip = source && zipOf(source)
  return zip && isProgramArchive(zip) ? programTextLength(zip) : null
}

/** Null for what is not an archive, of which the addon says what is wrong. */
function zipOf(source: ByteSource): Zip | null {
  try {
    if (source.size < 4 || source.read(0, 2).toString('latin1') !== 'PK') return null
    return new Zip({ source, position: 0, length: source.size })
  } catch (error) {
    if (error instanceof GradCamError) return null
    throw error
  }
}

/**
 * The plan of an architecture with weights.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT for an unknown architecture, ERR_WEIGHTS, and as `readWeights` does
 */
export function planOfWeights(name: string, weights: string | Uint8Array): { plan: ModelPlan; loaded: LoadedWeights } {
  const architecture: Architecture = findArchitecture(name)
  const file = readWeights(weights)
  const { plan, classes, prefix, dtype } = fit(architecture, file)
  const preprocess = preprocessOf(architecture, typeof weights === 'string' ? weights : null)
  return { plan, loaded: { architecture: architecture.name, classes, prefix, key: file.key, dtype, preprocess } }
}

/** Where weights do not fit, the error names the architecture that they do fit. */
function fit(architecture: Architecture, file: WeightsFile): FittedPlan {
  try {
    return fitWeights(architecture, readArchitecturePlan(architecture), file)
  } catch (error) {
    const fitting = error instanceof GradCamError && error.code === 'ERR_WEIGHTS' ? fittingArchitecture(file) : null
    if (!(error instanceof GradCamError) || fitting === null) throw error
    const remedy = `They fit the architecture '${fitting}'.`
    throw new GradCamError(error.code, error.problem, { remedy, details: { ...error.details, architecture: fitting } })
  }
}

/**
 * The error for a file that holds weights alone, with what it holds, and for one that needs an operator of a package that is
 * there, with its name; any other error as it is.
 */
export function explainRefusal(error: unknown, from: string | Uint8Array): unknown {
  const operator = error instanceof GradCamError && error.code === 'ERR_MODEL_OPERATOR' && error.details?.['operator']
  if (typeof operator === 'string') return explainOperator(error as GradCamError, operator)
  if (!(error instanceof GradCamError) || !/^ERR_MODEL_(?:IS_STATE_DICT|NOT_TORCHSCRIPT)$/.test(error.code))
    return error
  try {
    return unknownArchitecture(readWeights(from), error)
  } catch {
    return error // not weights after all, or none that can be read
  }
}

/** The operators of a Python package have its name before their own: torchvision::nms. */
function explainOperator(error: GradCamError, operator: string): GradCamError {
  const [name = ''] = operator.split('::')
  const file = libraryBeside(name)
  if (file === null && name !== 'torchvision') return error
  const { code, problem, details: known } = error
  const remedy =
    file === null
      ? "Install torchvision for the PyTorch in use, where python3 finds it, and load it by `libraries: ['torchvision']`."
      : `Load it by \`libraries: ['${name}']\`, which is ${file}. Its code then runs in this process.`
  const details = { ...known, library: name }
  return new GradCamError(code, problem, { remedy, details, cause: error })
}
