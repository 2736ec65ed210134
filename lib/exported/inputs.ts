import { dtypeOfSchema } from './program-file.js'
import { namesIn, type Program, type SymbolicSize, type Union } from './schema.js'

/** What one dimension of an input may be. */
export interface InputSize {
  readonly min: number
  readonly max: number
  /** It must be a multiple of this number. */
  readonly multiple: number
  /** Sizes of one symbol must be the same; empty where the size depends on no other. */
  readonly symbol: string
}

/** One input of an exported program. */
export interface ProgramInput {
  readonly name: string
  /** Null for an input that is a number, and for a dtype that tensors of this package cannot have. */
  readonly dtype: string | null
  readonly isTensor: boolean
  readonly sizes: readonly InputSize[]
}

/** As large as a size can be. */
export const anySize = Number.MAX_SAFE_INTEGER

/** Of "Symbol('s77', positive=True, integer=True)", with a factor before it or not; older files have "8*s0". */
const symbolForms = [/^(?:Mul\(Integer\((\d+)\), )?Symbol\('(\w+)'[^()]*\)\)?$/, /^(?:(\d+)\*)?([A-Za-z_]\w*)$/]

function readSize(size: SymbolicSize, ranges: Program['range_constraints']): InputSize {
  if (size.as_int !== undefined) return { min: size.as_int, max: size.as_int, multiple: 1, symbol: '' }
  const text = size.as_expr?.expr_str ?? ''
  const [, factor = '1', symbol] = symbolForms.map((form) => form.exec(text)).find((match) => match !== null) ?? []
  // A size that depends on others in another way: LibTorch checks it.
  if (symbol === undefined) return { min: 0, max: anySize, multiple: 1, symbol: '' }
  const multiple = Number(factor)
  const range = ranges[symbol]
  // PyTorch lets sizes of 0 and 1 run where the range begins at 2: that is how it specialises, and not what a model needs.
  const min = Number(range?.min_val ?? 0)
  const max = Math.min(anySize, Number(range?.max_val ?? anySize) * multiple)
  return { min: min > 2 ? min * multiple : 0, max: Number.isFinite(max) ? max : anySize, multiple, symbol }
}

/** What the program's inputs may be, by its own symbols and ranges. */
export function readInputs(
  program: Program,
  names: readonly string[],
  isTensor: (name: string) => boolean,
): ProgramInput[] {
  const { tensor_values: meta } = program.graph_module.graph
  return names.map((name) => {
    const tensor = isTensor(name) ? meta[name] : undefined
    if (!tensor) return { name, dtype: null, isTensor: false, sizes: [] }
    const sizes = tensor.sizes.map((size) => readSize(size, program.range_constraints))
    return { name, dtype: dtypeOfSchema(tensor.dtype), isTensor: true, sizes }
  })
}

/** The names of what a specification of an input or an output holds. */
export const specNames = (value: unknown): string[] => {
  const { arg } = value as { arg: Union & { name?: string } }
  return typeof arg.name === 'string' ? [arg.name] : namesIn(arg)
}
