/**
 * The JSON that torch.export writes, as far as it is read here: torch/_export/serde/schema.py of PyTorch, version 8. A file
 * may hold anything: what does not fit ends in a TypeError, which `translate` turns into a damaged file.
 */

/** One of the members of a union: the only one that is neither null nor missing. */
export type Union = Readonly<Record<string, unknown>>

export interface SymbolicSize {
  readonly as_int?: number
  readonly as_expr?: { readonly expr_str: string } | null
}

export interface TensorMeta {
  readonly dtype: number
  readonly sizes: readonly SymbolicSize[]
  readonly strides: readonly SymbolicSize[]
  readonly storage_offset: SymbolicSize
  readonly layout: number
  readonly requires_grad: boolean
}

export interface GraphNode {
  readonly target: string
  readonly inputs: readonly { readonly name: string; readonly arg: Union; readonly kind?: number | null }[]
  readonly outputs: readonly Union[]
  readonly metadata: Readonly<Record<string, string>>
}

export interface Graph {
  readonly inputs: readonly Union[]
  readonly outputs: readonly Union[]
  readonly nodes: readonly GraphNode[]
  readonly tensor_values: Readonly<Record<string, TensorMeta>>
  readonly sym_int_values?: Readonly<Record<string, SymbolicSize>> | null
  readonly sym_bool_values?: Readonly<Record<string, unknown>> | null
  readonly sym_float_values?: Readonly<Record<string, unknown>> | null
}

export interface CallEntry {
  readonly fqn: string
  readonly signature?: { readonly out_spec?: string } | null
}

export interface Program {
  readonly graph_module: {
    readonly graph: Graph
    readonly signature: { readonly input_specs: readonly Union[]; readonly output_specs: readonly Union[] }
    readonly module_call_graph?: readonly CallEntry[] | null
  }
  readonly range_constraints: Readonly<
    Record<string, { readonly min_val?: number | string | null; readonly max_val?: number | string | null }>
  >
  readonly schema_version: { readonly major: number; readonly minor: number }
  readonly torch_version?: string | null
}

/** The name and the value of a union's member. */
export function memberOf(union: Union): [kind: string, value: unknown] {
  for (const entry of Object.entries(union)) if (entry[1] !== null && entry[1] !== undefined) return entry
  return ['as_none', true]
}

/** The names of all values in an argument. */
export function namesIn(argument: Union): string[] {
  const [kind, value] = memberOf(argument)
  switch (kind) {
    case 'as_tensor':
    case 'as_token':
    case 'as_custom_obj':
      return [(value as { name: string }).name]
    case 'as_tensors':
      return (value as { name: string }[]).map(({ name }) => name)
    case 'as_nested_tensors':
      return (value as { name: string }[][]).flat().map(({ name }) => name)
    case 'as_optional_tensor':
      return namesIn(value as Union)
    case 'as_optional_tensors':
      return (value as Union[]).flatMap(namesIn)
    case 'as_sym_int':
    case 'as_sym_bool':
    case 'as_sym_float':
      return symbolName(value)
    case 'as_sym_ints':
    case 'as_sym_bools':
    case 'as_sym_floats':
      return (value as unknown[]).flatMap(symbolName)
    case 'as_string_to_argument':
      return Object.values(value as Record<string, Union>).flatMap(namesIn)
    default:
      return []
  }
}

function symbolName(value: unknown): string[] {
  const { as_name: name } = value as { as_name?: string }
  return name ? [name] : []
}

/** The same argument with other names of values. A graph inside it has names of its own. */
export const renamed = (argument: Union, rename: (name: string) => string): Union =>
  argument['as_graph']
    ? argument
    : (JSON.parse(JSON.stringify(argument), (key, inner: unknown) =>
        (key === 'name' || key === 'as_name') && typeof inner === 'string' ? rename(inner) : inner,
      ) as Union)

/** The same node with other names of values. */
export const renamedNode = (node: GraphNode, rename: (name: string) => string): GraphNode => ({
  ...node,
  inputs: node.inputs.map((input) => ({ ...input, arg: renamed(input.arg, rename) })),
  outputs: node.outputs.map((output) => renamed(output, rename)),
})

/** The names of what a node makes. */
export const madeBy = (node: GraphNode): string[] => node.outputs.flatMap(namesIn)

/** The names of what a node takes. */
export const takenBy = (node: GraphNode): string[] => node.inputs.flatMap(({ arg }) => namesIn(arg))

/** The operator of a node, where it is one of a namespace of operators. */
export function operatorOf({ target }: GraphNode): { space: string; name: string } | null {
  const [, space, name] = /^torch\.ops\.(\w+)\.(\w+)(?:\.\w+)?$/.exec(target) ?? []
  return space !== undefined && name !== undefined ? { space, name } : null
}

/** Checks of what export assumed, which change no value. */
export const isCheck = ({ target }: GraphNode): boolean =>
  /^torch\.ops\.aten\.(?:_assert_\w+|_functional_assert_\w+|sym_constrain_range\w*|_functional_sym_constrain_range\w*)\./.test(
    target,
  )

/** Arithmetic of sizes, which stands outside of any tensor. */
export const isSymbolic = ({ target }: GraphNode): boolean =>
  /^(?:_operator|math|torch)\.(?!ops\.)/.test(target) ||
  /^torch\.ops\.aten\.sym_(?:size|stride|numel|storage_offset)\b/.test(target)

/** A node of ours that passes its value on as it is. */
export const sameValue = 'gradcam.same'

/** JSON with 64-bit integers, kept as text, and the Infinity and NaN of older files. */
export function parseProgramJson(text: string): unknown {
  const tokens = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|-?Infinity|NaN/g
  return JSON.parse(
    text.replace(tokens, (token) => (token[0] !== '"' && /^-?\d{16,}$|[IN]/.test(token) ? `"${token}"` : token)),
  ) as unknown
}
