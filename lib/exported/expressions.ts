import { quoted } from './attributes.js'
import { memberOf, namesIn, operatorOf, sameValue, type GraphNode, type Union } from './schema.js'
import { unsupported } from './unsupported.js'

/** The schema's numbers of dtypes, memory formats and layouts, to LibTorch's own. */
const scalarTypes: Readonly<Record<number, number>> = {
  1: 0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6, 8: 7, 9: 8, 10: 9, 11: 10, 12: 11, 13: 15, 28: 27, 29: 24, 30: 23, 31: 26,
  32: 25, 33: 44, 34: 28, 35: 29,
} // prettier-ignore
const memoryFormats: Readonly<Record<number, number>> = { 1: 0, 2: 2, 3: 3, 4: 1 }
const stridedLayout = 7

const binary: Readonly<Record<string, string>> = {
  add: '+',
  mul: '*',
  sub: '-',
  floordiv: '//',
  truediv: '/',
  mod: '%',
  pow: '**',
  eq: '==',
  ne: '!=',
  lt: '<',
  le: '<=',
  gt: '>',
  ge: '>=',
  and_: 'and',
  or_: 'or',
}

/** Operators whose name in the graph is not that of the operator. */
const renamedOperators: Readonly<Record<string, string>> = {
  sym_size: 'size',
  sym_stride: 'stride',
  sym_numel: 'numel',
  sym_storage_offset: 'storage_offset',
  lift_fresh_copy: 'clone',
  lift_fresh: 'alias',
}

/** Arguments that are true where the program was exported in training mode. */
const trainingArguments: Readonly<Record<string, string>> = {
  batch_norm: 'training',
  native_batch_norm: 'training',
  dropout: 'train',
  dropout_: 'train',
  feature_dropout: 'train',
  alpha_dropout: 'train',
  feature_alpha_dropout: 'train',
  native_dropout: 'train',
  rrelu: 'training',
  lstm: 'train',
  gru: 'train',
}

/** Operators that reach beyond the values of the model: to files, or to memory that is not theirs. */
const forbidden = new Set(['from_file', 'save', 'set_', 'set_data', 'resize_', 'resize_as_', 'as_strided_'])

/** Namespaces of operators that round to integers, of which most are written in Python. */
const quantizing = new Set(['quantized_decomposed', 'quantized', 'torchao'])

/** An argument's own name cannot be a keyword. */
const isKeyword = (name: string): boolean => /^(?:self|from|lambda|in|is|or|and|not|if|else)$/.test(name)

const integer = (value: unknown): string =>
  String(value) === '-9223372036854775808' ? '(-9223372036854775807 - 1)' : numeral(value, /^-?\d{1,19}$/)

function float(value: unknown): string {
  if (value === 'Infinity') return 'float("inf")'
  if (value === '-Infinity') return 'float("-inf")'
  if (value === 'NaN') return 'float("nan")'
  const text = numeral(value, /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i)
  return /[.eE]/.test(text) ? text : `${text}.0`
}

/** The text of a number, which may have been written as text. */
function numeral(value: unknown, form: RegExp): string {
  const text = String(value)
  if (!form.test(text)) throw new TypeError(`not a number: ${text.slice(0, 40)}`)
  return text
}

const boolean = (value: unknown): string => (value === true ? 'True' : 'False')
const list = (type: string, items: readonly string[]): string =>
  items.length > 0 ? `[${items.join(', ')}]` : `annotate(List[${type}], [])`

/** Writes the arguments and calls of nodes as TorchScript. */
export class Expressions {
  constructor(private readonly device: string) {}

  argument(argument: Union, textOf: (value: string) => string): string {
    const [kind, value] = memberOf(argument)
    const many = value as readonly unknown[]
    const tensor = (of: unknown): string => textOf((of as { name: string }).name)
    const optional = (of: unknown): string => {
      const { as_tensor: found } = of as { as_tensor?: unknown }
      return found ? tensor(found) : 'None'
    }
    const symbolic = (of: unknown): string => symbolicText(of, textOf)
    switch (kind) {
      case 'as_none':
        return 'None'
      case 'as_tensor':
        return tensor(value)
      case 'as_tensors':
        return list('Tensor', many.map(tensor))
      case 'as_optional_tensor':
        return optional(value)
      case 'as_optional_tensors':
        return `annotate(List[Optional[Tensor]], [${many.map(optional).join(', ')}])`
      case 'as_int':
        return integer(value)
      case 'as_ints':
        return list('int', many.map(integer))
      case 'as_float':
        return float(value)
      case 'as_floats':
        return list('float', many.map(float))
      case 'as_bool':
        return boolean(value)
      case 'as_bools':
        return list('bool', many.map(boolean))
      case 'as_string':
        return quoted(value as string)
      case 'as_sym_int':
      case 'as_sym_bool':
      case 'as_sym_float':
        return symbolic(value)
      case 'as_sym_ints':
        return list('int', many.map(symbolic))
      case 'as_sym_bools':
        return list('bool', many.map(symbolic))
      case 'as_sym_floats':
        return list('float', many.map(symbolic))
      case 'as_scalar_type':
        return String(scalarTypes[value as number] ?? missing(`dtype ${String(value)}`))
      case 'as_memory_format':
        return String(memoryFormats[value as number] ?? missing(`memory format ${String(value)}`))
      case 'as_layout':
        return value === stridedLayout ? '0' : missing('sparse layout')
      case 'as_device':
        return `torch.device(${quoted(this.device)})`
      default:
        return missing(`argument of the kind ${kind}`)
    }
  }

  /**
   * The call that a node stands for.
   *
   * @param textOf the text of a value
   * @param given texts of arguments that are not those of the node, by their position
   * @param where the module that the node stands in, for errors
   */
  call(
    node: GraphNode,
    textOf: (value: string) => string,
    { given, where, type }: { given: ReadonlyMap<number, string>; where: string; type: string },
  ): string {
    const text = (at: number) => given.get(at) ?? this.argument(node.inputs[at]?.arg ?? {}, textOf)
    if (node.target === sameValue) return text(0)
    const operator = operatorOf(node)
    if (!operator) return pythonCall(node.target, text)
    const { space, name } = operator
    refuseTraining(node, name, where)
    if (quantizing.has(space))
      throw unsupported(
        `is quantized (${space}::${name} at '${where}'), and integers have no gradient`,
        'Export the model before it is quantized.',
      )
    if (forbidden.has(name) || space === 'prim')
      throw unsupported(`uses the operator ${space}::${name}, which is not allowed in a model`)
    const args = node.inputs.map((input, at) => {
      const isPositional = input.kind === 1 || (input.kind !== 2 && at === 0) || isKeyword(input.name)
      if (isPositional) return text(at)
      if (!/^\w+$/.test(input.name)) throw new TypeError('not the name of an argument')
      return `${input.name}=${text(at)}`
    })
    const called = `${space === 'aten' ? 'torch' : `ops.${space}`}.${renamedOperators[name] ?? name}(${args.join(', ')})`
    return name === 'item' || name === '_local_scalar_dense' ? `${type}(${called})` : called
  }
}

function missing(what: string): never {
  throw unsupported(`uses a ${what}, which has no translation`)
}

function symbolicText(value: unknown, textOf: (value: string) => string): string {
  const { as_name: name, as_int: int, as_float: number, as_bool: flag } = value as Record<string, unknown>
  if (typeof name === 'string' && name !== '') return textOf(name)
  if (int !== undefined && int !== null) return integer(int)
  return number !== undefined && number !== null ? float(number) : boolean(flag)
}

/** Batch norm without statistics of its own normalises by those of what it is given in evaluation mode, too. */
const hasStatistics = ({ inputs }: GraphNode): boolean => {
  const given = inputs.find((input) => input.name === 'running_mean')
  return given === undefined || namesIn(given.arg).length > 0
}

function refuseTraining(node: GraphNode, name: string, where: string): void {
  const flag = Object.hasOwn(trainingArguments, name) ? trainingArguments[name] : undefined
  if (
    flag !== undefined &&
    node.inputs.find((input) => input.name === flag)?.arg['as_bool'] === true &&
    hasStatistics(node)
  )
    throw unsupported(
      `was exported in training mode (${name} at '${where}')`,
      'Call model.eval() before torch.export.export, and export it again.',
    )
}

/** Arithmetic of sizes, by the name that Python has for it. */
function pythonCall(target: string, text: (at: number) => string): string {
  const name = target.replace(/^_operator\./, '')
  if (name !== target && Object.hasOwn(binary, name)) return `${text(0)} ${binary[name]} ${text(1)}`
  switch (target) {
    case '_operator.neg':
      return `-${text(0)}`
    case '_operator.pos':
      return text(0)
    case 'math.trunc':
    case 'torch.sym_int':
      return `int(${text(0)})`
    case 'torch.sym_float':
      return `float(${text(0)})`
    case 'torch.sym_not':
      return `not ${text(0)}`
    case 'torch.sym_max':
    case 'torch.sym_min':
      return `${target.slice(-3)}(${text(0)}, ${text(1)})`
    case 'torch.sym_ite':
      return `(${text(1)} if ${text(0)} else ${text(2)})`
    default:
      throw unsupported(`uses ${target.slice(0, 80)}, which has no translation`)
  }
}
