import {
  isCheck,
  madeBy,
  memberOf,
  namesIn,
  operatorOf,
  sameValue,
  takenBy,
  type GraphNode,
  type TensorMeta,
  type Union,
} from './schema.js'

/**
 * Where a value keeps the images apart: dimension `dim` has `times` elements for each image, those of the first image first.
 */
interface Batched {
  readonly dim: number
  readonly times: number
}

/** An argument of a node that must follow the batch: written as the expression of a size instead of the exported number. */
export interface BatchSize {
  /** The position of the argument among the node's inputs. */
  readonly input: number
  /** The text of the argument, from the text of a value. */
  readonly text: (textOf: (value: string) => string) => string
}

/**
 * Whether a program that was exported for one batch size holds for any. Where it does not, `operator` is the first that does not
 * keep the images apart, as far as is known.
 */
export type BatchVerdict =
  | { readonly free: true; readonly sizes: ReadonlyMap<GraphNode, readonly BatchSize[]> }
  | { readonly free: false; readonly operator: string }

const set = (text: string): ReadonlySet<string> => new Set(text.split(' '))
const unary = set(
  'relu relu_ relu6 relu6_ hardtanh hardtanh_ hardswish hardswish_ hardsigmoid hardsigmoid_ silu silu_ sigmoid sigmoid_ ' +
    'tanh tanh_ gelu elu elu_ selu selu_ celu leaky_relu leaky_relu_ softplus mish mish_ exp log sqrt rsqrt neg abs clamp ' +
    'clamp_ clamp_min clamp_min_ clamp_max pow dropout dropout_ feature_dropout contiguous clone alias detach to _to_copy ' +
    'erf reciprocal sin cos square float zeros_like ones_like',
)
const elementwise = set(
  'add add_ sub sub_ rsub mul mul_ div div_ maximum minimum where pow prelu masked_fill expand_as',
)
const perRow = set(
  'conv1d conv2d conv3d convolution conv_transpose2d batch_norm _native_batch_norm_legit_no_training group_norm ' +
    'native_group_norm instance_norm max_pool1d max_pool2d max_pool2d_with_indices avg_pool2d adaptive_avg_pool1d ' +
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

class BatchAnalysis {
  readonly #values = new Map<string, Batched>()
  /** Values that are the same for every image, with a size of 1 where the batch would be, and that dimension. */
  readonly #uniform = new Map<string, number>()
  readonly sizes = new Map<GraphNode, BatchSize[]>()

  constructor(
    private readonly meta: Readonly<Record<string, TensorMeta>>,
    inputs: readonly string[],
    private readonly batch: number,
  ) {
    for (const name of inputs) this.#values.set(name, { dim: 0, times: 1 })
  }

  isBatch(name: string): boolean {
    const found = this.#values.get(name)
    return found?.dim === 0 && found.times === 1
  }

  /** Follows the batch through one node. False where it does not keep the images apart. */
  follow(node: GraphNode): boolean {
    const taken = takenBy(node)
    if (!taken.some((name) => this.#values.has(name))) return this.#followUniform(node, taken)
    if (node.target === sameValue) return this.#make(node, this.#values.get(taken[0] as string))
    const operator = operatorOf(node)
    if (operator?.space !== 'aten') return false
    // A constant of a size that is written in the program: it takes no more than the dtype of an input.
    if (/^new_(?:zeros|ones|full)$/.test(operator.name)) return true
    return this.#make(node, this.#resultOf(node, operator.name, taken))
  }

  #make(node: GraphNode, result: Batched | null | undefined): boolean {
    if (!result) return false
    for (const [at, name] of madeBy(node).entries()) {
      const shape = this.#shape(name)
      // A batch norm with fixed statistics also returns those of the batch, which are empty then.
      if (at > 0 && shape.length === 1 && shape[0] === 0) continue
      const size = shape[result.dim]
      if (size !== this.batch * result.times) return false
      this.#values.set(name, result)
    }
    return true
  }

  #shape(name: string): number[] {
    return (this.meta[name]?.sizes ?? []).map((size) => size.as_int ?? Number.NaN)
  }

  /** A class token that is expanded to the batch keeps a size of 1 instead: it is expanded where it meets the batch. */
  #followUniform(node: GraphNode, taken: readonly string[]): boolean {
    const operator = operatorOf(node)
    const [from] = taken
    const [made] = madeBy(node)
    if (from === undefined || made === undefined) return true
    if (taken.some((name) => this.#uniform.has(name))) {
      if (!operator || !unary.has(operator.name) || taken.length > 1) return false
      this.#uniform.set(made, this.#uniform.get(from) as number)
    } else if (operator?.name === 'expand') {
      const [before, after] = [this.#shape(from), this.#shape(made)]
      if (after[0] === this.batch && before.length === after.length && before[0] === 1 && this.batch > 1) {
        this.#uniform.set(made, 0)
        const numbers = after.map((size, at) => (at === 0 ? 1 : size))
        this.#mark(node, { input: 1, text: () => `[${numbers.join(', ')}]` })
      }
    }
    return true
  }

  #mark(node: GraphNode, size: BatchSize): void {
    const marks = this.sizes.get(node)
    if (marks) marks.push(size)
    else this.sizes.set(node, [size])
  }

  #resultOf(node: GraphNode, name: string, taken: readonly string[]): Batched | null {
    const [x = ''] = taken
    const state = this.#values.get(x)
    if (name === 'cat') return this.#cat(node, taken)
    if (elementwise.has(name) && taken.length > 1) return this.#broadcast(node, taken)
    if (name === 'addmm') return this.#addmm(taken)
    if (!state) return null
    const others = taken.slice(1)
    if (others.some((other) => this.#uniform.has(other))) return null
    if (name === 'matmul' || name === 'bmm' || name === 'scaled_dot_product_attention')
      return this.#product(name, state, taken)
    if (others.some((other) => this.#values.has(other))) return null
    return this.#single(node, name, { state, x, rank: this.#shape(x).length })
  }

  /** Of an operator that only its first argument brings the batch to. */
  #single(
    node: GraphNode,
    name: string,
    { state, x, rank }: { state: Batched; x: string; rank: number },
  ): Batched | null {
    const { dim } = state
    if (unary.has(name) || elementwise.has(name)) return state
    if (perRow.has(name)) return dim === 0 && rank >= 2 ? state : null
    if (name === 'linear') return dim < rank - 1 ? state : null
    if (name === 'layer_norm' || name === 'native_layer_norm' || name === 'rms_norm')
      return dim < rank - (integersOf(node, 'normalized_shape')?.length ?? rank) ? state : null
    if (name === 'pad' || name === 'constant_pad_nd')
      return (integersOf(node, 'pad')?.length ?? 2 * rank) / 2 < rank - dim ? state : null
    if (alongDims.has(name)) return this.#alongDims(node, name, { state, rank })
    if (name === 'squeeze') return this.#squeeze(node, { state, x })
    const dims = (key: string, size = rank) => integersOf(node, key)?.map((d) => (d < 0 ? d + size : d))
    if (name === 'unsqueeze') {
      const at = dims('dim', rank + 1)?.[0]
      return at === undefined ? null : { ...state, dim: at <= dim ? dim + 1 : dim }
    }
    if (name === 'permute') return { ...state, dim: dims('dims')?.indexOf(dim) ?? -1 }
    if (name === 'transpose') {
      const [a, b] = [dims('dim0')?.[0], dims('dim1')?.[0]]
      if (a === undefined || b === undefined) return null
      return { ...state, dim: dim === a ? b : dim === b ? a : dim }
    }
    if (name === 'unflatten') {
      const at = dims('dim')?.[0]
      const more = (integersOf(node, 'sizes')?.length ?? 1) - 1
      return at === undefined || at === dim ? null : { ...state, dim: at < dim ? dim + more : dim }
    }
    if (name === 't') return { ...state, dim: 1 - dim }
    if (name === 'flatten') return this.#view(node, { state, x }, false)
    if (views.has(name)) return this.#view(node, { state, x }, true)
    if (name === 'expand') return this.#expand(node, { state, x })
    return null
  }

  #alongDims(node: GraphNode, name: string, { state, rank }: { state: Batched; rank: number }): Batched | null {
    const usual =
      name === 'select' || name === 'slice' || /^(?:split|chunk|unbind|tensor_split)/.test(name) ? [0] : null
    const given = integersOf(node, 'dim') ?? integersOf(node, 'dims') ?? integersOf(node, 'axis') ?? usual
    const dims = given?.map((d) => (d < 0 ? d + rank : d))
    if (!dims?.length || dims.includes(state.dim)) return null
    const [made = ''] = madeBy(node)
    const isGone = this.#shape(made).length < rank
    return isGone ? { ...state, dim: state.dim - dims.filter((d) => d < state.dim).length } : state
  }

  #squeeze(node: GraphNode, { state, x }: { state: Batched; x: string }): Batched | null {
    const shape = this.#shape(x)
    const dims = integersOf(node, 'dim')?.map((d) => (d < 0 ? d + shape.length : d))
    if (!dims || dims.includes(state.dim)) return null
    return { ...state, dim: state.dim - dims.filter((d) => d < state.dim && shape[d] === 1).length }
  }

  /** A reshape keeps the images apart where as many elements lie before the batch as did, and none are moved across it. */
  #view(node: GraphNode, { state, x }: { state: Batched; x: string }, isWritten: boolean): Batched | null {
    const [made = ''] = madeBy(node)
    const [from, to] = [this.#shape(x), this.#shape(made)]
    const before = product(from.slice(0, state.dim))
    const within = state.times * product(from.slice(state.dim + 1))
    const found = to.findIndex((size, dim) => {
      const times = size / this.batch
      return (
        product(to.slice(0, dim)) === before && Number.isInteger(times) && times * product(to.slice(dim + 1)) === within
      )
    })
    const times = (to[found] ?? 0) / this.batch
    if (found < 0) return null
    if (!isWritten) return { dim: found, times }
    const input = node.inputs.findIndex(({ arg }) => memberOf(arg)[0] === 'as_ints')
    const sizes = memberOf(node.inputs[input]?.arg ?? {})[1] as number[]
    if (input < 0 || sizes.length !== to.length) return null
    // The others are written out: -1 may stand for one alone.
    const text = (textOf: (value: string) => string): string => {
      const one = `torch.size(${textOf(x)}, ${state.dim})`
      const images = state.times === 1 ? one : `(${one} // ${state.times})`
      const size = times === 1 ? images : `${images} * ${times}`
      return `[${to.map((each, dim) => (dim === found ? size : String(each))).join(', ')}]`
    }
    this.#mark(node, { input, text })
    return { dim: found, times }
  }

  #expand(node: GraphNode, { state, x }: { state: Batched; x: string }): Batched | null {
    const [made = ''] = madeBy(node)
    const to = this.#shape(made)
    const dim = state.dim + to.length - this.#shape(x).length
    this.#mark(node, { input: 1, text: () => `[${to.map((size, at) => (at === dim ? -1 : size)).join(', ')}]` })
    return { ...state, dim }
  }

  /** Element by element: all that have the batch have it in the same dimension, counted from the last. */
  #broadcast(node: GraphNode, taken: readonly string[]): Batched | null {
    const [made = ''] = madeBy(node)
    const rank = this.#shape(made).length
    let found: Batched | null = null
    for (const name of taken) {
      const state = this.#values.get(name)
      if (!state) continue
      const aligned = { ...state, dim: state.dim + rank - this.#shape(name).length }
      if (found && (found.dim !== aligned.dim || found.times !== aligned.times)) return null
      found = aligned
    }
    const { dim } = found as Batched
    const isNeutral = (name: string): boolean => {
      if (this.#values.has(name)) return true
      const shape = this.#shape(name)
      const own = dim - (rank - shape.length)
      if (this.#uniform.has(name)) return this.#uniform.get(name) === own
      return own < 0 || shape[own] === 1
    }
    return taken.every(isNeutral) ? found : null
  }

  #addmm([bias = '', x = '', weight = '']: readonly string[]): Batched | null {
    const isPlain = (name: string) => !this.#values.has(name) && !this.#uniform.has(name)
    const state = this.#values.get(x)
    return state?.dim === 0 && isPlain(bias) && isPlain(weight) && this.#shape(bias).length <= 1 ? state : null
  }

  /** Products of matrices, of which the batch counts several. */
  #product(name: string, state: Batched, taken: readonly string[]): Batched | null {
    const rank = this.#shape(taken[0] as string).length
    const others = taken.slice(1)
    const same = (other: string): boolean => {
      const own = this.#values.get(other)
      return own?.dim === state.dim && own.times === state.times && this.#shape(other).length === rank
    }
    if (others.every(same)) return state.dim < rank - 2 ? state : null
    if (name === 'scaled_dot_product_attention' && others.slice(0, 2).every(same)) {
      // A mask for all images alike.
      const mask = this.#shape(others[2] as string)
      const at = state.dim - (rank - mask.length)
      return others.length === 3 &&
        !this.#values.has(others[2] as string) &&
        state.dim < rank - 2 &&
        (at < 0 || mask[at] === 1)
        ? state
        : null
    }
    const [right = ''] = others
    if (name !== 'matmul' || this.#values.has(right) || this.#shape(right).length > 2) return null
    return state.dim < rank - 1 ? state : null
  }

  #cat(node: GraphNode, taken: readonly string[]): Batched | null {
    const first = taken.find((name) => this.#values.has(name)) as string
    const state = this.#values.get(first) as Batched
    const rank = this.#shape(first).length
    const along = integersOf(node, 'dim')?.[0] ?? 0
    if ((along < 0 ? along + rank : along) === state.dim) return null
    const isOne = (name: string) =>
      this.#uniform.get(name) === state.dim || (this.batch * state.times === 1 && !this.#uniform.has(name))
    for (const name of taken) {
      const own = this.#values.get(name)
      if (own ? own.dim !== state.dim || own.times !== state.times : !isOne(name)) return null
    }
    if (taken.every((name) => this.#values.has(name))) return state
    if (state.times !== 1) return null
    const text = (textOf: (value: string) => string): string => {
      const size = `torch.size(${textOf(first)}, ${state.dim})`
      const parts = taken.map((name) => {
        if (this.#values.has(name)) return textOf(name)
        const sizes = Array.from({ length: rank }, (_, at) => (at === state.dim ? size : '-1'))
        return `torch.expand(${textOf(name)}, [${sizes.join(', ')}])`
      })
      return `[${parts.join(', ')}]`
    }
    this.#mark(node, { input: 0, text })
    return state
  }
}

/** An argument that is a number or a list of numbers, as a list. */
function integersOf(node: GraphNode, name: string): number[] | null {
  const found = node.inputs.find((input) => input.name === name)
  if (!found) return null
  const [kind, value] = memberOf(found.arg)
  if (kind === 'as_int') return [Number(value)]
  return kind === 'as_ints' ? (value as number[]).map(Number) : null
}

/**
 * Follows the batch, dimension 0 of all inputs, through a program that was exported for one size of it. Sound, and not
 * complete: an operator that is not listed keeps the batch fixed.
 *
 * @param inputs the names of the inputs that are tensors
 * @param outputs the program's outputs
 */
export function judgeBatch(
  nodes: readonly GraphNode[],
  meta: Readonly<Record<string, TensorMeta>>,
  { inputs, outputs }: { inputs: readonly string[]; outputs: readonly Union[] },
): BatchVerdict {
  const leading = inputs.map((name) => meta[name]?.sizes[0]?.as_int)
  const [batch] = leading
  if (!batch || leading.some((size) => size !== batch)) return { free: false, operator: 'inputs of different sizes' }
  const analysis = new BatchAnalysis(meta, inputs, batch)
  for (const node of nodes) {
    if (isCheck(node)) continue
    if (!analysis.follow(node)) return { free: false, operator: operatorOf(node)?.name ?? node.target }
  }
  const fixed = outputs.flatMap(namesIn).find((name) => !analysis.isBatch(name))
  if (fixed !== undefined) return { free: false, operator: 'an output without one row for each image' }
  return { free: true, sizes: analysis.sizes }
}
