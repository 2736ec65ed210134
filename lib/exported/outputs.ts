import { quoted } from './attributes.js'
import { unsupported } from './unsupported.js'

/** The containers that a model returned its values in, as torch.utils._pytree describes them. */
interface TreeSpec {
  readonly type: string | null
  readonly context: unknown
  readonly children_spec: readonly TreeSpec[]
}

const deepest = 50

/** The text of the outputs in the containers that the model returned: lists, dicts by their keys, tuples for all others. */
export function outputText(spec: string | undefined, outputs: readonly string[]): string {
  if (!spec) return outputs.length === 1 ? (outputs[0] as string) : tuple(outputs)
  const [, top] = JSON.parse(spec) as [unknown, TreeSpec]
  const left = [...outputs]
  const build = (node: TreeSpec, depth: number): string => {
    if (depth > deepest) throw unsupported(`returns values nested deeper than ${deepest}`)
    if (node.type === null) return left.shift() ?? 'None'
    const parts = node.children_spec.map((child) => build(child, depth + 1))
    if (/list$|deque/i.test(node.type)) return `[${parts.join(', ')}]`
    const keys = keysOf(node)
    if (keys) return `{${parts.map((part, i) => `${quoted(keys[i] as string)}: ${part}`).join(', ')}}`
    return tuple(parts)
  }
  return build(top, 0)
}

const tuple = (parts: readonly string[]): string => (parts.length === 1 ? `(${parts[0]},)` : `(${parts.join(', ')})`)

/** The keys of a dict, or of an object whose fields are listed. */
function keysOf({ context, children_spec: children }: TreeSpec): string[] | null {
  const keys: unknown = typeof context === 'string' ? JSON.parse(context) : context
  if (!Array.isArray(keys) || keys.length !== children.length || keys.length === 0) return null
  return keys.every((key) => typeof key === 'string' || typeof key === 'number') ? keys.map(String) : null
}
