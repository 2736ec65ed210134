import { resultOf, unary } from './batch-rules.js'
import { BatchState, type Batched, type BatchSize } from './batch-state.js'
import {
  isCheck,
  madeBy,
  namesIn,
  operatorOf,
  sameValue,
  takenBy,
  type GraphNode,
  type TensorMeta,
  type Union,
} from './schema.js'

/**
 * Whether a program that was exported for one batch size holds for any. Where it does not, `operator` is the first that does not
 * keep the images apart, as far as is known.
 */
export type BatchVerdict =
  | { readonly free: true; readonly sizes: ReadonlyMap<GraphNode, readonly BatchSize[]> }
  | { readonly free: false; readonly operator: string }

/** Follows the batch through one node. False where it does not keep the images apart. */
function follow(all: BatchState, node: GraphNode): boolean {
  const taken = takenBy(node)
  if (!taken.some((name) => all.values.has(name))) return followUniform(all, node, taken)
  if (node.target === sameValue) return make(all, node, all.values.get(taken[0] as string))
  const operator = operatorOf(node)
  if (operator?.space !== 'aten') return false
  // A constant of a size that is written in the program: it takes no more than the dtype of an input.
  if (/^new_(?:zeros|ones|full)$/.test(operator.name)) return true
  return make(all, node, resultOf(all, node, operator.name, taken))
}

function make(all: BatchState, node: GraphNode, result: Batched | null | undefined): boolean {
  if (!result) return false
  for (const [at, name] of madeBy(node).entries()) {
    const shape = all.shape(name)
    // A batch norm with fixed statistics also returns those of the batch, which are empty then.
    if (at > 0 && shape.length === 1 && shape[0] === 0) continue
    if (shape[result.dim] !== all.batch * result.times) return false
    all.values.set(name, result)
  }
  return true
}

/** A class token that is expanded to the batch keeps a size of 1 instead: it is expanded where it meets the batch. */
function followUniform(all: BatchState, node: GraphNode, taken: readonly string[]): boolean {
  const operator = operatorOf(node)
  const [from] = taken
  const [made] = madeBy(node)
  if (from === undefined || made === undefined) return true
  if (taken.some((name) => all.uniform.has(name))) {
    if (!operator || !unary.has(operator.name) || taken.length > 1) return false
    all.uniform.set(made, all.uniform.get(from) as number)
  } else if (operator?.name === 'expand') {
    const [before, after] = [all.shape(from), all.shape(made)]
    if (after[0] === all.batch && before.length === after.length && before[0] === 1 && all.batch > 1) {
      all.uniform.set(made, 0)
      const numbers = after.map((size, at) => (at === 0 ? 1 : size))
      all.mark(node, { input: 1, text: () => `[${numbers.join(', ')}]` })
    }
  }
  return true
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
  meta: ReadonlyMap<string, TensorMeta>,
  { inputs, outputs }: { inputs: readonly string[]; outputs: readonly Union[] },
): BatchVerdict {
  const leading = inputs.map((name) => meta.get(name)?.sizes[0]?.as_int)
  const [batch] = leading
  if (!batch || leading.some((size) => size !== batch)) return { free: false, operator: 'inputs of different sizes' }
  const all = new BatchState(meta, batch)
  for (const name of inputs) all.values.set(name, { dim: 0, times: 1 })
  for (const node of nodes) {
    if (isCheck(node)) continue
    if (!follow(all, node)) return { free: false, operator: operatorOf(node)?.name ?? node.target }
  }
  const fixed = outputs.flatMap(namesIn).find((name) => {
    const found = all.values.get(name)
    return found?.dim !== 0 || found.times !== 1
  })
  if (fixed !== undefined) return { free: false, operator: 'an output without one row for each image' }
  return { free: true, sizes: all.sizes }
}
