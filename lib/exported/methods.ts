import { attributeOf, isBelow, relativePath, splitName, Variables } from './attributes.js'
import type { BatchSize } from './batch-state.js'
import { Call } from './calls.js'
import type { Expressions } from './expressions.js'
import type { Instances } from './instances.js'
import type { Interfaces } from './interfaces.js'
import { outputText } from './outputs.js'
import type { ValueTypes } from './regions.js'
import { madeBy, memberOf, namesIn, type GraphNode, type Program, type Union } from './schema.js'
import { unsupported } from './unsupported.js'

/** What the methods are written from. */
export interface Script {
  readonly program: Program
  readonly types: ValueTypes
  readonly instances: Instances
  readonly interfaces: Interfaces
  readonly expressions: Expressions
  /** Arguments that follow the batch. */
  readonly batchSizes: ReadonlyMap<GraphNode, readonly BatchSize[]>
  /** The names of the inputs that callers give. */
  readonly inputs: readonly string[]
  /** The buffer or parameter of a name: how the model itself reaches it. */
  readonly reach: (name: string) => string
}

/** More text than any model's methods have. */
const longestText = 64 * 2 ** 20

const stem = (name: string): string => name.slice(0, 60).replace(/(?:_\d{1,9}){1,4}$/, '') || 'value'

const methodText = (name: string, args: readonly string[], lines: readonly string[]): string =>
  `def ${name}(${['self', ...args].join(', ')}):\n${lines.map((line) => `    ${line}\n`).join('')}`

/** Writes the methods of all modules as TorchScript. */
export class MethodWriter {
  #length = 0

  constructor(private readonly script: Script) {}

  /** The forward of the model itself. */
  writeRoot(root: Call): void {
    const { program, inputs, interfaces } = this.script
    const variables = new Variables()
    const args = inputs.map((name) => variables.define(name, name))
    const given = new Set(inputs)
    const unknown = interfaces.of(root).inputs.find((name) => !given.has(name))
    if (unknown !== undefined) throw new TypeError(`the value ${unknown} is used but never made`)
    const lines: string[] = []
    this.#writeItems(root, variables, lines)
    const outputs = this.#writeEnd(root, variables, lines)
    const spec = program.graph_module.module_call_graph?.find(({ fqn }) => fqn === '')?.signature?.out_spec
    lines.push(`return ${outputText(spec, outputs)}`)
    const instance = this.script.instances.at('')
    instance.type = root.type || 'Module'
    const typed = args.map((arg, i) => this.#typed(arg, inputs[i] as string))
    instance.methods.push({ name: 'forward', text: this.#counted(methodText('forward', typed, lines)) })
  }

  #counted(text: string): string {
    this.#length += text.length
    if (this.#length > longestText) throw unsupported(`has methods of more than ${longestText} characters`)
    return text
  }

  /** The outputs. A value that replaces a buffer or an input is written there at the end, as torch.export's own module does. */
  #writeEnd(root: Call, variables: Variables, lines: string[]): string[] {
    const outputs: string[] = []
    for (const spec of this.script.program.graph_module.signature.output_specs) {
      const [kind, value] = memberOf(spec)
      const { arg, ...names } = value as { arg: Union & { name?: string } } & Record<string, string>
      const from = () => this.#value(arg.name ?? namesIn(arg)[0] ?? '', root, variables)
      if (kind === 'user_output') {
        outputs.push(this.script.expressions.argument(arg, (name) => this.#value(name, root, variables)))
      } else if (kind === 'buffer_mutation' || kind === 'parameter_mutation') {
        const to = this.script.reach(names['buffer_name'] ?? names['parameter_name'] ?? '')
        if (to !== from()) lines.push(`torch.copy_(${to}, ${from()})`)
      } else if (kind === 'user_input_mutation') {
        lines.push(`torch.copy_(${this.#value(names['user_input_name'] ?? '', root, variables)}, ${from()})`)
      } else throw unsupported(`returns a ${kind}, which has no translation`)
    }
    return outputs
  }

  #typed(text: string, value: string): string {
    const type = this.script.types.get(value) ?? 'Tensor'
    return type === 'Tensor' ? text : `${text}: ${type}`
  }

  /** The expression for a value inside a call. */
  #value(name: string, call: Call, variables: Variables): string {
    const text = variables.find(name) ?? this.script.interfaces.attribute(call, name)
    if (text === null) throw new TypeError(`the value ${name} is used in '${call.path}', where it is not known`)
    return text
  }

  #writeItems(call: Call, variables: Variables, lines: string[]): void {
    for (const item of call.items) {
      if (item instanceof Call) this.#writeCall(item, call, variables, lines)
      else this.#writeNode(item, call, variables, lines)
    }
  }

  // eslint-disable-next-line max-params
  #writeCall(child: Call, call: Call, variables: Variables, lines: string[]): void {
    const name = this.#methodOf(child)
    const { inputs, outputs } = this.script.interfaces.of(child)
    const args = inputs.map((value) => this.#value(value, call, variables)).join(', ')
    const called = `${this.#objectOf(child, call)}.${name}(${args})`
    const results = outputs.map((value) => variables.define(value, stem(value)))
    lines.push(results.length === 0 ? called : `${results.join(', ')} = ${called}`)
  }

  /** Writes what a call does as a method of its module, unless an equal one is there; its name. */
  #methodOf(call: Call): string {
    const { interfaces, instances } = this.script
    const instance = instances.at(call.path)
    instance.type ||= call.type
    const { inputs, prologue, outputs } = interfaces.of(call)
    const variables = new Variables()
    const args = inputs.map((value, i) =>
      variables.define(value, interfaces.isSize(value) ? 'given' : i === 0 ? 'input' : `input${i}`),
    )
    const lines: string[] = []
    for (const step of prologue) {
      if ('node' in step) this.#writeNode(step.node, call, variables, lines)
      else {
        const tensor = this.#value(step.tensor, call, variables)
        lines.push(`${variables.define(step.name, 'size')} = torch.size(${tensor}, ${step.dim})`)
      }
    }
    this.#writeItems(call, variables, lines)
    const returned = outputs.map((value) => this.#value(value, call, variables))
    lines.push(
      returned.length === 0
        ? 'return None'
        : `return ${returned.length === 1 ? returned[0] : `(${returned.join(', ')})`}`,
    )
    const typed = args.map((arg, i) => this.#typed(arg, inputs[i] as string))
    const key = methodText('', typed, lines)
    const known = instance.methodNames.get(key)
    if (known !== undefined) return known
    const name = `forward${instance.methods.length || ''}`
    instance.methods.push({ name, text: this.#counted(methodText(name, typed, lines)) })
    instance.methodNames.set(key, name)
    return name
  }

  /** How a call reaches the module of another: below its own, or by a name of its own for a module of another parent. */
  #objectOf(child: Call, call: Call): string {
    if (isBelow(child.path, call.path)) return relativePath(child.path, call.path).reduce(attributeOf, 'self')
    const holder = this.script.instances.at(call.path)
    let alias = splitName(child.path).own
    while (holder.children.has(alias) && holder.children.get(alias) !== child.path) alias += '_'
    holder.children.set(alias, child.path)
    return attributeOf('self', alias)
  }

  // eslint-disable-next-line max-params
  #writeNode(node: GraphNode, call: Call, variables: Variables, lines: string[]): void {
    const { expressions, interfaces, batchSizes, types } = this.script
    const textOf = (value: string) => this.#value(value, call, variables)
    const given = new Map(batchSizes.get(node)?.map(({ input, text }) => [input, text(textOf)]))
    const type = types.get(madeBy(node)[0] ?? '') ?? 'Tensor'
    const text = expressions.call(node, textOf, { given, where: call.path, type })
    const define = (value: string) => variables.define(value, stem(value))
    const parts = (tensors: readonly { name: string }[], whole: string) => {
      for (const [i, { name }] of tensors.entries())
        if (interfaces.isUsed(name)) lines.push(`${define(name)} = ${whole}[${i}]`)
    }
    const results: string[] = []
    const later: (() => void)[] = []
    for (const output of node.outputs) {
      const tensors = output['as_tensors'] as { name: string }[] | null | undefined
      const [name, ...more] = namesIn(output)
      if (tensors) {
        const whole = variables.fresh('parts')
        results.push(whole)
        later.push(() => parts(tensors, whole))
      } else results.push(name !== undefined && more.length === 0 ? define(name) : variables.fresh('unused'))
    }
    lines.push(results.length === 0 ? text : `${results.join(', ')} = ${text}`)
    for (const add of later) add()
  }
}
