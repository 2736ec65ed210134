import { openBytes } from '../archive/byte-source.js'
import { elementBytes, rowMajor, type StoredDType, type StoredTensor } from '../archive/stored-tensor.js'
import { GradCamError } from '../base/errors.js'
import { nearestPaths } from '../base/nearest.js'
import type { ModelPlan, PlannedTensor } from '../exported/plan.js'
import type { Architecture, ArchitecturePlan, PlannedWeight } from './architecture.js'
import type { WeightsFile } from './weights-file.js'

/** A model's plan with its weights, and what was done to find them. */
export interface FittedPlan {
  readonly plan: ModelPlan
  /** Inferred from the weights. */
  readonly classes: number
  /** What the names of the weights begin with, e.g. 'module.'; '' for nothing. */
  readonly prefix: string
  /** The type of the file's first parameter. */
  readonly dtype: StoredDType
}

/** Counted by BatchNorm since PyTorch 0.4.1, and used by no model in eval mode: older weights do not have it. */
export const isCounter = (name: string): boolean => name.endsWith('num_batches_tracked')

/** The names of torchvision's densenets until 2018: 'denselayer1.norm.1.weight' is 'denselayer1.norm1.weight'. */
const modernName = (name: string): string =>
  name.replace(/(denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var)$)/, '$1$2')

/**
 * Puts weights into an architecture. Names may begin with a prefix, as those of DataParallel and Lightning do.
 *
 * @throws GradCamError ERR_WEIGHTS with what is missing, not expected, or of another shape
 */
export function fitWeights(architecture: Architecture, empty: ArchitecturePlan, weights: WeightsFile): FittedPlan {
  const needed = empty.tensors.filter(({ data }) => data === undefined)
  const names = new Map(needed.map((tensor) => [fullName(empty, tensor), tensor]))
  const given = new Map([...weights.tensors].map(([name, tensor]) => [modernName(name), tensor]))
  const prefix = prefixOf([...names.keys()], given)
  const classes = classesOf(empty, given, prefix) ?? architecture.classes
  const missing: string[] = []
  const misshapen: string[] = []
  const tensors = empty.tensors.map((planned): PlannedTensor => {
    const { module, name, isParameter } = planned
    const sizes = planned.byClass ? [classes, ...planned.sizes.slice(1)] : planned.sizes
    const full = fullName(empty, planned)
    const found = given.get(prefix + full)
    if (planned.data !== undefined || (!found && isCounter(full)))
      return { module, name, isParameter, tensor: constantTensor(planned) }
    if (!found) missing.push(full)
    else if (found.sizes.join() !== sizes.join())
      misshapen.push(`${full} [${found.sizes.join(', ')}] instead of [${sizes.join(', ')}]`)
    else if (isFloat(found.dtype) !== isFloat(planned.dtype))
      misshapen.push(`${full} of ${found.dtype} instead of ${planned.dtype}`)
    const isWidened = found !== undefined && isHalf(found.dtype) && planned.dtype === 'float32'
    const tensor = found ?? constantTensor(planned)
    return { module, name, isParameter, tensor, ...(isWidened && { convertTo: planned.dtype }) }
  })
  const isUnused = (name: string): boolean => isCounter(name) || empty.unused.some((start) => name.startsWith(start))
  const unexpected = [...given.keys()].filter((name) => {
    const own = name.startsWith(prefix) ? name.slice(prefix.length) : name
    return !names.has(own) && !isUnused(own)
  })
  if (missing.length > 0 || misshapen.length > 0 || unexpected.length > 0)
    throw misfit(architecture, weights, { missing, misshapen, unexpected })
  const { modules, children, fixedBatch } = empty
  const inputs = inputsFor(empty, tensors)
  const dtype = tensors.find(({ isParameter }) => isParameter)?.tensor.dtype ?? 'float32'
  const methods = dtype === 'float64' ? empty.methods.map(inFloat64) : empty.methods
  const all = dtype === 'float64' ? tensors.map(constantInFloat64) : tensors
  return { plan: { modules, tensors: all, children, methods, inputs, fixedBatch }, classes, prefix, dtype }
}

/**
 * The code of an architecture in the type of weights of float64, as that of `model.double()` is in Python: an export writes down the
 * type that the weights had then. 6 is float32, 7 is float64.
 */
const inFloat64 = ({ module, text }: ModelPlan['methods'][number]): ModelPlan['methods'][number] => ({
  module,
  text: text.replace(/\bdtype=6\b/g, 'dtype=7').replace(/(torch\.to\(\w+, )6\b/g, '$17'),
})

const constantInFloat64 = (planned: PlannedTensor): PlannedTensor =>
  planned.tensor.dtype === 'float32' ? { ...planned, convertTo: 'float64' } : planned

const isFloat = (dtype: StoredDType): boolean => /float/.test(dtype)
/** Weights are often published in half of float32, which holds all of their values: it is what load_state_dict makes of them. */
const isHalf = (dtype: StoredDType): boolean => dtype === 'float16' || dtype === 'bfloat16'

/** The inputs of the architecture, in the type of the weights: float64 is not narrowed. */
function inputsFor(empty: ArchitecturePlan, tensors: readonly PlannedTensor[]): ModelPlan['inputs'] {
  const first = tensors.find(({ isParameter }) => isParameter)
  const own = first && (first.convertTo ?? first.tensor.dtype)
  const planned = empty.tensors.find(({ isParameter }) => isParameter)?.dtype
  if (own === undefined || own === planned) return empty.inputs
  return empty.inputs.map((input) => (input.dtype === planned ? { ...input, dtype: own } : input))
}

function fullName({ modules }: ArchitecturePlan, { module, name }: PlannedWeight): string {
  const path = modules[module]?.path ?? ''
  return path === '' ? name : `${path}.${name}`
}

/** What stands before the architecture's own names in most of the weights' names. */
function prefixOf(names: readonly string[], given: ReadonlyMap<string, StoredTensor>): string {
  const candidates = new Set([''])
  const [first = '', second = ''] = names
  for (const name of given.keys())
    for (const own of [first, second]) if (name.endsWith(`.${own}`)) candidates.add(name.slice(0, -own.length))
  const found = (prefix: string): number => names.filter((name) => given.has(prefix + name)).length
  return (
    [...candidates].map((prefix) => ({ prefix, count: found(prefix) })).sort((a, b) => b.count - a.count)[0]?.prefix ??
    ''
  )
}

/** The number of classes is a size of the last layer's weights. */
function classesOf(
  plan: ArchitecturePlan,
  given: ReadonlyMap<string, StoredTensor>,
  prefix: string,
): number | undefined {
  const tensor = plan.tensors.find(({ byClass }) => byClass)
  return tensor && given.get(prefix + fullName(plan, tensor))?.sizes[0]
}

/** A constant of the architecture; a counter that the weights do not have is 0. */
function constantTensor({ data, dtype, sizes }: PlannedWeight): StoredTensor {
  const bytes =
    data === undefined ? Buffer.alloc(sizes.length === 0 ? elementBytes[dtype] : 0) : Buffer.from(data, 'base64')
  const storage = { source: openBytes(bytes), position: 0, length: bytes.length }
  return { storage, dtype, sizes, strides: rowMajor(sizes), offset: 0 }
}

/** The most names of a kind that an error lists. */
const listed = 5

function misfit(
  { name }: Architecture,
  weights: WeightsFile,
  { missing, misshapen, unexpected }: Record<'missing' | 'misshapen' | 'unexpected', readonly string[]>,
): GradCamError {
  const some = (what: string, names: readonly string[]): string => {
    if (names.length === 0) return ''
    const more = names.length > listed ? `, and ${names.length - listed} more` : ''
    return ` ${what}: ${names.slice(0, listed).join(', ')}${more}.`
  }
  const withNearest = (tensor: string): string => {
    const [near] = nearestPaths(tensor, unexpected, 1)
    return near === undefined ? tensor : `${tensor} (nearest: ${near})`
  }
  const near = missing.length > listed ? missing : missing.map(withNearest)
  return new GradCamError(
    'ERR_WEIGHTS',
    `The weights of ${weights.name} do not fit the architecture '${name}'.${some('Missing', near)}${some('Not expected', unexpected)}${some('Of another shape or type', misshapen)}`,
    {
      remedy: '`gradcam architectures` lists the architectures. For another model, export it with torch.export.export.',
      details: { missing, unexpected, misshapen },
    },
  )
}
