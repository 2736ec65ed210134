import { openBytes } from '../archive/byte-source.js'
import { elementBytes, extentOf, rowMajor, type StoredDType, type StoredTensor } from '../archive/stored-tensor.js'
import { GradCamError } from '../base/errors.js'
import { nearestPaths } from '../base/nearest.js'
import type { NodeBuffer } from '../base/platform-types.js'
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
 * @throws GradCamError ERR_WEIGHTS with what is missing, not expected, of another shape, or not one value for all that share it
 */
export function fitWeights(architecture: Architecture, empty: ArchitecturePlan, weights: WeightsFile): FittedPlan {
  const needed = empty.tensors.filter(({ data }) => data === undefined)
  const names = new Set(needed.flatMap((tensor) => namesOf(empty, tensor)))
  const given = new Map([...weights.tensors].map(([name, tensor]) => [modernName(name), tensor]))
  const prefix = prefixOf(names, given)
  const classes = classesOf(empty, given, prefix) ?? architecture.classes
  const missing: string[] = []
  const misshapen: string[] = []
  const unlike: string[] = []
  const tensors = empty.tensors.map((planned): PlannedTensor => {
    const { module, name, isParameter } = planned
    const sizes = planned.byClass ? [classes, ...planned.sizes.slice(1)] : planned.sizes
    const full = fullName(empty, planned)
    const [found, ...others] = namesOf(empty, planned).flatMap((each) => given.get(prefix + each) ?? [])
    if (planned.data !== undefined || (!found && isCounter(full)))
      return { module, name, isParameter, tensor: constantTensor(planned) }
    if (!found) missing.push(full)
    else if (found.sizes.join() !== sizes.join())
      misshapen.push(`${full} [${found.sizes.join(', ')}] instead of [${sizes.join(', ')}]`)
    else if (isFloat(found.dtype) !== isFloat(planned.dtype))
      misshapen.push(`${full} of ${found.dtype} instead of ${planned.dtype}`)
    else if (!others.every((other) => isSameTensor(found, other)))
      unlike.push([full, ...(planned.also ?? [])].join(' and '))
    const isWidened = found !== undefined && isHalf(found.dtype) && planned.dtype === 'float32'
    const tensor = found ?? constantTensor(planned)
    return { module, name, isParameter, tensor, ...(isWidened && { convertTo: planned.dtype }) }
  })
  const isUnused = (name: string): boolean => isCounter(name) || empty.unused.some((start) => name.startsWith(start))
  const unexpected = [...given.keys()].filter((name) => {
    const own = name.startsWith(prefix) ? name.slice(prefix.length) : name
    return !names.has(own) && !isUnused(own)
  })
  const problems = { missing, unexpected, misshapen, unlike }
  if (Object.values(problems).some(({ length }) => length > 0)) throw misfit(architecture, weights, problems)
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

/** All names that a file of weights may hold a tensor under. */
const namesOf = (plan: ArchitecturePlan, planned: PlannedWeight): readonly string[] => [
  fullName(plan, planned),
  ...(planned.also ?? []),
]

/** Whether two tensors of a file have the same values: what modules share is written once, or again for each name. */
function isSameTensor(a: StoredTensor, b: StoredTensor): boolean {
  const form = ({ dtype, sizes, strides }: StoredTensor): string => JSON.stringify([dtype, sizes, strides])
  return form(a) === form(b) && bytesOf(a).equals(bytesOf(b))
}

/** The part of the storage that a tensor reaches over. The file that it was found in is closed by now. */
function bytesOf(tensor: StoredTensor): NodeBuffer {
  const { storage, dtype, offset } = tensor
  const from = offset * elementBytes[dtype]
  const to = Math.max(from, extentOf(tensor).end * elementBytes[dtype])
  using source = openBytes(storage.source.origin)
  return source.read(storage.position + from, to - from)
}

function fullName({ modules }: ArchitecturePlan, { module, name }: PlannedWeight): string {
  const path = modules[module]?.path ?? ''
  return path === '' ? name : `${path}.${name}`
}

/** What stands before the architecture's own names in most of the weights' names. */
function prefixOf(names: ReadonlySet<string>, given: ReadonlyMap<string, StoredTensor>): string {
  const counts = new Map([['', 0]])
  for (const name of given.keys())
    for (let at = 0; ; at = name.indexOf('.', at) + 1) {
      if (names.has(name.slice(at))) counts.set(name.slice(0, at), (counts.get(name.slice(0, at)) ?? 0) + 1)
      if (!name.includes('.', at)) break
    }
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0] ?? ''
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
  problems: Record<'missing' | 'unexpected' | 'misshapen' | 'unlike', readonly string[]>,
): GradCamError {
  const { missing, unexpected, misshapen, unlike } = problems
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
    `The weights of ${weights.name} do not fit the architecture '${name}'.${some('Missing', near)}${some('Not expected', unexpected)}${some('Of another shape or type', misshapen)}${some('One tensor in the architecture, but not in the weights', unlike)}`,
    {
      remedy: '`gradcam architectures` lists the architectures. For another model, export it with torch.export.export.',
      details: problems,
    },
  )
}
