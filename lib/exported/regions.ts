import { isOn, withConversions } from './autocast.js'
import {
  madeBy,
  namesIn,
  renamed,
  renamedNode,
  sameValue,
  type Graph,
  type GraphNode,
  type TensorMeta,
  type Union,
} from './schema.js'
import { unsupported } from './unsupported.js'

/** The TorchScript type of each value: 'Tensor', 'int', 'bool' or 'float'. */
export type ValueTypes = Map<string, string>

const higherOrder = 'torch.ops.higher_order.'
/** More nodes than any model has: each takes time and memory to compile. */
const mostNodes = 200_000

/** A graph without regions. */
export interface FlatGraph {
  readonly nodes: readonly GraphNode[]
  readonly types: ValueTypes
  readonly meta: ReadonlyMap<string, TensorMeta>
}

/**
 * The nodes of a graph with its regions (no_grad, autocast) written in-line, and what is known of all values: what autocast
 * converts while the model runs is a node of its own.
 */
export function flatten(graph: Graph): FlatGraph {
  const flattening = new Flattening()
  flattening.addValues(graph, (name) => name)
  flattening.walk(graph, { rename: null, converts: false })
  return flattening
}

/** How the nodes of a region are written. */
interface Region {
  readonly rename: ((name: string) => string) | null
  /** Whether torch.autocast is on. */
  readonly converts: boolean
}

const tables = [
  ['tensor_values', 'Tensor'],
  ['sym_int_values', 'int'],
  ['sym_bool_values', 'bool'],
  ['sym_float_values', 'float'],
] as const

class Flattening implements FlatGraph {
  readonly nodes: GraphNode[] = []
  readonly types: ValueTypes = new Map()
  readonly meta = new Map<string, TensorMeta>()
  #regions = 0
  #depth = 0

  addValues(graph: Graph, named: (name: string) => string): void {
    for (const [table, type] of tables)
      for (const name of Object.keys(graph[table] ?? {})) this.types.set(named(name), type)
    for (const [name, meta] of Object.entries(graph.tensor_values)) this.meta.set(named(name), meta)
  }

  addTensor(name: string, meta: TensorMeta): void {
    this.types.set(name, 'Tensor')
    this.meta.set(name, meta)
  }

  walk(graph: Graph, region: Region): void {
    for (const each of graph.nodes) {
      const node = region.rename ? renamedNode(each, region.rename) : each
      if (node.target.startsWith(higherOrder)) this.#inline(node, region)
      else this.#add(...(region.converts ? withConversions(node, this) : [node]))
    }
  }

  #add(...nodes: GraphNode[]): void {
    if (this.nodes.length + nodes.length > mostNodes) throw unsupported(`has more than ${mostNodes} nodes`)
    this.nodes.push(...nodes)
  }

  /** Writes a region as its nodes, and a detach of what leaves it where gradients are off there. */
  #inline(node: GraphNode, outer: Region): void {
    const args = node.inputs.map(({ arg }) => arg)
    const at = args.findIndex((arg) => arg['as_graph'])
    const kind = regionOf(node, args, at)
    if (this.#depth === 50) throw unsupported('nests its regions deeper than 50')
    const inner = (args[at] as { as_graph: { graph: Graph } }).as_graph.graph
    const own = `r${this.#regions++}_`
    const given = new Map(inner.inputs.map((input, i) => [namesIn(input)[0], namesIn(args[at + 1 + i] as Union)[0]]))
    const inside = (name: string): string => given.get(name) ?? own + name
    // What a region is given keeps what is known of it outside.
    this.addValues(inner, (name) => own + name)
    this.#depth++
    this.walk(inner, { rename: inside, converts: kind === 'autocast' || (kind !== 'plain' && outer.converts) })
    this.#depth--
    const results = madeBy(node)
    for (const [i, output] of inner.outputs.entries()) {
      const isTensor = this.types.get(inside(namesIn(output)[0] ?? '')) === 'Tensor'
      this.#add({
        target: isTensor && kind === 'no_grad' ? 'torch.ops.aten.detach.default' : sameValue,
        metadata: node.metadata,
        inputs: [{ name: 'self', arg: renamed(output, inside), kind: 1 }],
        outputs: [{ as_tensor: { name: results[i] ?? '' } }],
      })
    }
  }
}

/** Control flow, whose branches torch.export keeps as graphs. */
const controlFlow: ReadonlySet<string> = new Set(
  'cond map map_impl scan while_loop associative_scan switch while_loop_stack_output'.split(' '),
)

/**
 * What a region changes: gradients are off in it ('no_grad') or on ('grad'), autocast is on ('autocast') or off ('plain').
 * Refuses what has no translation.
 */
function regionOf(node: GraphNode, args: readonly Union[], graph: number): 'no_grad' | 'grad' | 'autocast' | 'plain' {
  const name = node.target.slice(higherOrder.length)
  if (graph >= 0 && name === 'wrap_with_set_grad_enabled') return args[0]?.['as_bool'] === false ? 'no_grad' : 'grad'
  if (graph >= 0 && name === 'wrap_with_autocast') return isOn(args) ? 'autocast' : 'plain'
  throw unsupported(
    `uses torch.ops.higher_order.${name}, ${controlFlow.has(name) ? 'control flow that depends on values' : 'which has no translation'}`,
    'Export the model without it, or save it with torch.jit.script, which keeps control flow.',
  )
}
