import { isCheck, isSymbolic, madeBy, sameValue, takenBy, type GraphNode } from './schema.js'
import { unsupported } from './unsupported.js'

/** An entry of `nn_module_stack`: one of the module calls that a node stood in. */
interface StackEntry {
  /** Tells calls apart: the second call of a module has a path with @1. */
  readonly call: string
  readonly path: string
  readonly type: string
}

const deepestStack = 100

/** "key,path,type;…" from the outermost call inwards. A slice of a Sequential has commas in its key and its path. */
function parseStack(text: string | undefined): StackEntry[] {
  if (!text) return []
  const entries = text.split(';')
  if (entries.length > deepestStack) throw unsupported(`nests module calls deeper than ${deepestStack}`)
  return entries.map((entry) => {
    const parts = entry.split(',')
    const type = parts.pop() ?? ''
    const half = parts.length / 2
    const key = parts.slice(0, half).join(',')
    const path = parts.slice(half).join(',')
    return {
      call: `${key}|${path}`,
      path: path.replaceAll(/@\d+/g, ''),
      type: type.replace(/^<class '(.*)'>$/, '$1'),
    }
  })
}

/** One call of a module: its nodes and the calls inside it, in order. It becomes a method of the module. */
export class Call {
  readonly items: (GraphNode | Call)[] = []
  path: string
  type: string

  constructor(
    readonly parent: Call | null,
    private readonly entry: StackEntry,
  ) {
    this.path = entry.path
    this.type = entry.type
  }

  get call(): string {
    return this.entry.call
  }

  contains(other: Call): boolean {
    for (let call: Call | null = other; call; call = call.parent) if (call === this) return true
    return false
  }

  /** This call and all inside it, the outermost first. */
  *all(): Generator<Call> {
    yield this
    for (const item of this.items) if (item instanceof Call) yield* item.all()
  }
}

const constantMakers = /^torch\.ops\.aten\.(?:lift_fresh_copy|lift_fresh|detach_?|clone)\./

/**
 * Groups the nodes into the calls that they stood in.
 *
 * @param isConstant whether a value is a constant of the program
 * @returns the call of the model itself
 */
export function groupCalls(nodes: readonly GraphNode[], isConstant: (value: string) => boolean): Call {
  const root = new Call(null, { path: '', type: '', call: 'root' })
  let open = [root]
  /** Values made of constants alone: torch.tensor([1.0]) in the model's code. */
  const constants = new Set<string>()
  const home = new Map<string, Call>()
  for (const each of nodes) {
    if (isCheck(each)) continue
    const node = withoutDetach(each, constants, isConstant)
    const stack = isSymbolic(node) ? [] : parseStack(node.metadata['nn_module_stack'])
    // The first entry is the model itself: a node with no other stands in none of its modules.
    const isPlaced = stack.length > 0
    if (stack[0]?.path === '') root.type = (stack.shift() as StackEntry).type
    if (isPlaced) open = enter(open, stack)
    const call = isSymbolic(node) ? placeSymbolic(node, open, home) : (open.at(-1) as Call)
    if (!isSymbolic(node)) call.items.push(node)
    for (const name of madeBy(node)) home.set(name, call)
  }
  return root
}

/** A constant has no gradient, and a detach would keep the model from being split. */
function withoutDetach(node: GraphNode, constants: Set<string>, isConstant: (value: string) => boolean): GraphNode {
  const [from = ''] = takenBy(node)
  if (!constantMakers.test(node.target) || !(isConstant(from) || constants.has(from))) return node
  for (const name of madeBy(node)) constants.add(name)
  return /detach/.test(node.target) ? { ...node, target: sameValue } : node
}

/** The calls that are open at a node of this stack: those that are open already, as far as they agree, and new ones. */
function enter(open: readonly Call[], stack: readonly StackEntry[]): Call[] {
  let depth = 0
  while (depth < stack.length && open[depth + 1]?.call === stack[depth]?.call) depth++
  const calls = open.slice(0, depth + 1)
  for (const entry of stack.slice(depth)) {
    const parent = calls.at(-1) as Call
    const child = new Call(parent, entry)
    parent.items.push(child)
    calls.push(child)
  }
  return calls
}

/** Arithmetic of sizes belongs to the outermost call in which its operands are known: it must not cut calls in two. */
function placeSymbolic(node: GraphNode, open: readonly Call[], home: ReadonlyMap<string, Call>): Call {
  let depth = 0
  for (const name of takenBy(node)) {
    const maker = home.get(name)
    if (!maker) continue
    let at = open.length - 1
    while (at > 0 && !open[at]?.contains(maker)) at--
    depth = Math.max(depth, at)
  }
  const call = open[depth] as Call
  if (depth < open.length - 1) call.items.splice(call.items.length - 1, 0, node)
  else call.items.push(node)
  return call
}
