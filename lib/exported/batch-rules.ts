import { BatchState, integersOf, type Batched } from './batch-state.js'
import { madeBy, memberOf, type GraphNode } from './schema.js'

/** A node whose first tensor, `x` of `rank` dimensions, keeps the images apart as `state` says. */
interface Step {
  readonly node: GraphNode
  readonly name: string
  readonly x: string
  readonly rank: number
  readonly state: Batched
}

/** Where the result keeps the images apart; null where it does not, or it is not known. */
type Rule = (all: BatchState, step: Step) => Batched | null

const set = (text: string): ReadonlySet<string> => new Set(text.split(' '))
export const unary = set(
  'relu relu_ relu6 relu6_ hardtanh hardtanh_ hardswish hardswish_ hardsigmoid hardsigmoid_ silu silu_ sigmoid sigmoid_ ' +
    'tanh tanh_ gelu elu elu_ selu selu_ celu leaky_relu leaky_relu_ softplus mish mish_ exp log sqrt rsqrt neg abs clamp ' +
    'clamp_ clamp_min clamp_min_ clamp_max pow dropout dropout_ feature_dropout contiguous clone alias detach to _to_copy ' +
    'erf reciprocal sin cos square float zeros_like ones_like',
)
const elementwise = set(
  'add add_ sub sub_ rsub mul mul_ div div_ maximum minimum where pow prelu masked_fill expand_as',
)
const perRow = set(
  'conv1d conv2d conv3d convolution conv_transpose2d _native_batch_norm_legit_no_training group_norm ' +
    'native_group_norm max_pool1d max_pool2d max_pool2d_with_indices avg_pool2d adaptive_avg_pool1d ' +
    'adaptive_avg_pool2d _adaptive_avg_pool2d adaptive_max_pool2d upsample_bilinear2d upsample_nearest2d ' +
    'upsample_bicubic2d pixel_shuffle pixel_unshuffle channel_shuffle',
)
/** Operators on some dimensions, which the batch must not be among. */
const alongDims = set(
  'mean sum amax amin softmax _softmax log_softmax _log_softmax var std argmax cumsum roll flip slice split ' +
    'split_with_sizes chunk select unbind linalg_vector_norm norm argsort topk max min prod tensor_split narrow',
)
const views = set('view reshape _unsafe_view')

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1)

/** The dimensions that an argument names, counted from the first. */
function dimsOf(node: GraphNode, argument: string, rank: number): number[] | undefined {
  return integersOf(node, argument)?.map((dim) => (dim < 0 ? dim + rank : dim))
}

const kept: Rule = (_, { state }) => state

/** Of operators that work on the last dimensions, as many as an argument has `per` numbers for. */
const onLast =
  (argument: string, per: number): Rule =>
  (_, { node, rank, state }) =>
    state.dim < rank - (integersOf(node, argument)?.length ?? per * rank) / per ? state : null

const perImage: Rule = (_, { rank, state }) => (state.dim === 0 && rank >= 2 ? state : null)

/** Statistics of the batch are of all images. */
const batchNorm: Rule = (all, step) =>
  step.node.inputs.some(({ name, arg }) => name === 'training' && arg['as_bool'] === true) ? null : perImage(all, step)

const acrossDims: Rule = (all, { node, name, rank, state }) => {
  const usual = name === 'select' || name === 'slice' || /^(?:split|chunk|unbind|tensor_split)/.test(name) ? [0] : null
  const dims = dimsOf(node, 'dim', rank) ?? dimsOf(node, 'dims', rank) ?? dimsOf(node, 'axis', rank) ?? usual
  if (!dims?.length || dims.includes(state.dim)) return null
  const [made = ''] = madeBy(node)
  const isGone = all.rank(made) < rank
  return isGone ? { ...state, dim: state.dim - dims.filter((d) => d < state.dim).length } : state
}

const squeeze: Rule = (all, { node, x, rank, state }) => {
  const shape = all.shape(x)
  const dims = dimsOf(node, 'dim', rank)
  if (!dims || dims.includes(state.dim)) return null
  return { ...state, dim: state.dim - dims.filter((d) => d < state.dim && shape[d] === 1).length }
}

const unsqueeze: Rule = (_, { node, rank, state }) => {
  const at = dimsOf(node, 'dim', rank + 1)?.[0]
  return at === undefined ? null : { ...state, dim: at <= state.dim ? state.dim + 1 : state.dim }
}

const permute: Rule = (_, { node, rank, state }) => ({
  ...state,
  dim: dimsOf(node, 'dims', rank)?.indexOf(state.dim) ?? -1,
})

const transpose: Rule = (_, { node, rank, state }) => {
  const [a, b] = [dimsOf(node, 'dim0', rank)?.[0], dimsOf(node, 'dim1', rank)?.[0]]
  if (a === undefined || b === undefined) return null
  return { ...state, dim: state.dim === a ? b : state.dim === b ? a : state.dim }
}

const unflatten: Rule = (_, { node, rank, state }) => {
  const at = dimsOf(node, 'dim', rank)?.[0]
  const more = (integersOf(node, 'sizes')?.length ?? 1) - 1
  return at === undefined || at === state.dim ? null : { ...state, dim: at < state.dim ? state.dim + more : state.dim }
}

/** Where a reshape keeps the images apart: as many elements lie before the batch as did, and none are moved across it. */
function reshaped(all: BatchState, { node, x, state }: Step): Batched | null {
  const [made = ''] = madeBy(node)
  const [from, to] = [all.shape(x), all.shape(made)]
  const before = product(from.slice(0, state.dim))
  const within = state.times * product(from.slice(state.dim + 1))
  const dim = to.findIndex((size, at) => {
    const times = size / all.batch
    return (
      product(to.slice(0, at)) === before && Number.isInteger(times) && times * product(to.slice(at + 1)) === within
    )
  })
  return dim < 0 ? null : { dim, times: (to[dim] as number) / all.batch }
}

/** A reshape whose sizes are written in the program, so that one of them must follow the batch. */
const view: Rule = (all, step) => {
  const { node, x, state } = step
  const found = reshaped(all, step)
  if (!found) return null
  const to = all.shape(madeBy(node)[0] ?? '')
  const input = node.inputs.findIndex(({ arg }) => memberOf(arg)[0] === 'as_ints')
  const sizes = memberOf(node.inputs[input]?.arg ?? {})[1] as number[]
  if (input < 0 || sizes.length !== to.length) return null
  // The others are written out: -1 may stand for one alone.
  const text = (textOf: (value: string) => string): string => {
    const one = `torch.size(${textOf(x)}, ${state.dim})`
    const images = state.times === 1 ? one : `(${one} // ${state.times})`
    const size = found.times === 1 ? images : `${images} * ${found.times}`
    return `[${to.map((each, dim) => (dim === found.dim ? size : String(each))).join(', ')}]`
  }
  all.mark(node, { input, text })
  return found
}

const expand: Rule = (all, { node, rank, state }) => {
  const to = all.shape(madeBy(node)[0] ?? '')
  const dim = state.dim + to.length - rank
  all.mark(node, { input: 1, text: () => `[${to.map((size, at) => (at === dim ? -1 : size)).join(', ')}]` })
  return { ...state, dim }
}

const rulesOf = (names: ReadonlySet<string>, rule: Rule): [string, Rule][] => Array.from(names, (name) => [name, rule])

/** Operators that only their first tensor brings the batch to. */
const rules: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ...rulesOf(alongDims, acrossDims),
  ...rulesOf(views, view),
  ...rulesOf(perRow, perImage),
  ...rulesOf(elementwise, kept),
  ...rulesOf(unary, kept),
  ['batch_norm', batchNorm],
  ['instance_norm', perImage],
  ['linear', (_, { rank, state }) => (state.dim < rank - 1 ? state : null)],
  ['layer_norm', onLast('normalized_shape', 1)],
  ['native_layer_norm', onLast('normalized_shape', 1)],
  ['rms_norm', onLast('normalized_shape', 1)],
  ['pad', onLast('pad', 2)],
  ['constant_pad_nd', onLast('pad', 2)],
  ['squeeze', squeeze],
  ['unsqueeze', unsqueeze],
  ['permute', permute],
  ['transpose', transpose],
  ['t', (_, { state }) => ({ ...state, dim: 1 - state.dim })],
  ['unflatten', unflatten],
  ['flatten', reshaped],
  ['expand', expand],
])

/** Element by element: all that have the batch have it in the same dimension, counted from the last. */
function broadcast(all: BatchState, node: GraphNode, taken: readonly string[]): Batched | null {
  const [made = ''] = madeBy(node)
  const rank = all.rank(made)
  let found: Batched | null = null
  for (const name of taken) {
    const state = all.values.get(name)
    if (!state) continue
    const aligned = { ...state, dim: state.dim + rank - all.rank(name) }
    if (found && (found.dim !== aligned.dim || found.times !== aligned.times)) return null
    found = aligned
  }
  const { dim } = found as Batched
  const isNeutral = (name: string): boolean => {
    if (all.values.has(name)) return true
    const shape = all.shape(name)
    const own = dim - (rank - shape.length)
    if (all.uniform.has(name)) return all.uniform.get(name) === own
    return own < 0 || shape[own] === 1
  }
  return taken.every(isNeutral) ? found : null
}

function addmm(all: BatchState, [bias = '', x = '', weight = '']: readonly string[]): Batched | null {
  const state = all.values.get(x)
  return state?.dim === 0 && all.isPlain(bias) && all.isPlain(weight) && all.rank(bias) <= 1 ? state : null
}

const products: ReadonlySet<string> = new Set(['matmul', 'bmm', 'scaled_dot_product_attention'])

/** Products of matrices, of which the batch counts several. */
function multiplied(all: BatchState, { name, rank, state }: Step, others: readonly string[]): Batched | null {
  const same = (other: string): boolean => {
    const own = all.values.get(other)
    return own?.dim === state.dim && own.times === state.times && all.rank(other) === rank
  }
  if (others.every(same)) return state.dim < rank - 2 ? state : null
  if (name === 'scaled_dot_product_attention' && others.slice(0, 2).every(same)) {
    const mask = others[2] as string
    const at = state.dim - (rank - all.rank(mask))
    const isOne = all.uniform.has(mask) ? all.uniform.get(mask) === at : at < 0 || all.shape(mask)[at] === 1
    const isForAllImages = !all.values.has(mask) && isOne
    return others.length === 3 && isForAllImages && state.dim < rank - 2 ? state : null
  }
  const [right = ''] = others
  if (name !== 'matmul' || all.values.has(right) || all.rank(right) > 2) return null
  return state.dim < rank - 1 ? state : null
}

function concatenated(all: BatchState, node: GraphNode, taken: readonly string[]): Batched | null {
  const first = taken.find((name) => all.values.has(name)) as string
  const state = all.values.get(first) as Batched
  const rank = all.rank(first)
  if ((dimsOf(node, 'dim', rank)?.[0] ?? 0) === state.dim) return null
  const isOne = (name: string) =>
    all.uniform.get(name) === state.dim || (all.batch * state.times === 1 && !all.uniform.has(name))
  for (const name of taken) {
    const own = all.values.get(name)
    if (own ? own.dim !== state.dim || own.times !== state.times : !isOne(name)) return null
  }
  if (taken.every((name) => all.values.has(name))) return state
  if (state.times !== 1) return null
  const text = (textOf: (value: string) => string): string => {
    const size = `torch.size(${textOf(first)}, ${state.dim})`
    const parts = taken.map((name) => {
      if (all.values.has(name)) return textOf(name)
      const sizes = Array.from({ length: rank }, (_, at) => (at === state.dim ? size : '-1'))
      return `torch.expand(${textOf(name)}, [${sizes.join(', ')}])`
    })
    return `[${parts.join(', ')}]`
  }
  all.mark(node, { input: 0, text })
  return state
}

/**
 * Where the result of an operator keeps the images apart; null where it does not, or the operator is not known.
 *
 * @param taken its tensors, of which at least one keeps them apart
 */
export function resultOf(all: BatchState, node: GraphNode, name: string, taken: readonly string[]): Batched | null {
  const [x = '', ...others] = taken
  const state = all.values.get(x)
  if (name === 'cat') return concatenated(all, node, taken)
  if (elementwise.has(name) && taken.length > 1) return broadcast(all, node, taken)
  if (name === 'addmm') return addmm(all, taken)
  // A mask that is the same for every image keeps a size of 1, which attention broadcasts.
  const isMask = (at: number): boolean => name === 'scaled_dot_product_attention' && at === 2
  if (!state || others.some((other, at) => all.uniform.has(other) && !isMask(at))) return null
  const step = { node, name, x, rank: all.rank(x), state }
  if (products.has(name)) return multiplied(all, step, others)
  if (others.some((other) => all.values.has(other))) return null
  return rules.get(name)?.(all, step) ?? null
}
