import { madeBy, memberOf, namesIn, renamed, sameValue, type Graph, type GraphNode, type Union } from './schema.js'
import { unsupported } from './unsupported.js'

/** The TorchScript type of each value: 'Tensor', 'int', 'bool' or 'float'. */
export type ValueTypes = Map<string, string>

const higherOrder = 'torch.ops.higher_order.'
/** More nodes than any model has: each takes time and memory to compile. */
const mostNodes = 200_000

/** The nodes of a graph with its regions (no_grad, autocast that is off) written in-line, and the types of all values. */
export function flatten(graph: Graph): { nodes: GraphNode[]; types: ValueTypes } {
  const flattening = new Flattening()
  flattening.addTypes(graph)
  flattening.walk(graph, null)
  return flattening
}

const tables = [
  ['tensor_values', 'Tensor'],
  ['sym_int_values', 'int'],
  ['sym_bool_values', 'bool'],
  ['sym_float_values', 'float'],
] as const

class Flattening {
  readonly nodes: GraphNode[] = []
  readonly types: ValueTypes = new Map()
  #regions = 0
  #depth = 0

  addTypes(graph: Graph): void {
    for (const [table, type] of tables) for (const name of Object.keys(graph[table] ?? {})) this.types.set(name, type)
  }

  walk(graph: Graph, rename: ((name: string) => string) | null): void {
    for (const node of graph.nodes) {
      if (this.nodes.length >= mostNodes) throw unsupported(`has more than ${mostNodes} nodes`)
      if (node.target.startsWith(higherOrder)) this.#inline(node, rename)
      else if (!rename) this.nodes.push(node)
      else this.nodes.push({ ...node, inputs: renamed(node.inputs, rename), outputs: renamed(node.outputs, rename) })
    }
  }

  /** Writes a region where gradients are off as its nodes, and a detach of what leaves it. */
  #inline(node: GraphNode, rename: ((name: string) => string) | null): void {
    const args = node.inputs.map(({ arg }) => arg)
    const at = args.findIndex((arg) => arg['as_graph'])
    const detaches = detachesResults(node, args, at)
    if (this.#depth === 50) throw unsupported('nests its regions deeper than 50')
    const inner = (args[at] as { as_graph: { graph: Graph } }).as_graph.graph
    this.addTypes(inner)
    const region = `r${this.#regions++}_`
    const outer = rename ?? ((name: string) => name)
    const given = new Map(inner.inputs.map((input, i) => [namesIn(input)[0], namesIn(args[at + 1 + i] as Union)[0]]))
    const inside = (name: string): string => {
      const from = given.get(name)
      return from === undefined ? region + name : outer(from)
    }
    for (const [table] of tables)
      for (const name of Object.keys(inner[table] ?? {})) this.types.set(region + name, this.types.get(name) as string)
    this.#depth++
    this.walk(inner, inside)
    this.#depth--
    const results = madeBy(node)
    for (const [i, output] of inner.outputs.entries()) {
      const isTensor = this.types.get(namesIn(output)[0] ?? '') === 'Tensor'
      this.nodes.push({
        target: isTensor && detaches ? 'torch.ops.aten.detach.default' : sameValue,
        metadata: node.metadata,
        inputs: [{ name: 'self', arg: renamed(output, inside), kind: 1 }],
        outputs: [renamed({ as_tensor: { name: results[i] ?? '' } }, outer)],
      })
    }
  }
}

/** Whether what leaves a region has no gradient. Refuses a region that has no translation. */
function detachesResults(node: GraphNode, args: readonly Union[], graph: number): boolean {
  const name = node.target.slice(higherOrder.length)
  if (graph >= 0 && name === 'wrap_with_set_grad_enabled') return args[0]?.['as_bool'] === false
  if (graph >= 0 && name === 'wrap_with_autocast') {
    // (device, dtype, enabled, cache, graph, ...): one that is off changes nothing.
    if (args[2] && memberOf(args[2])[0] === 'as_bool' && args[2]['as_bool'] === false) return false
    throw unsupported(
      'computes a part under torch.autocast, whose types are chosen while it runs',
      'Convert the model itself (model.bfloat16()) or leave autocast out, and export it again.',
    )
  }
  throw unsupported(
    `uses torch.ops.higher_order.${name}, control flow that depends on values`,
    'Export the model without it, or save it with torch.jit.script, which keeps control flow.',
  )
}
