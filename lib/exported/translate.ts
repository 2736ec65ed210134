import { damaged, type ByteSource } from '../archive/byte-source.js'
import type { Zip } from '../archive/zip.js'
import { GradCamError } from '../base/errors.js'
import { attributeOf, relativePath, splitName } from './attributes.js'
import { judgeBatch, type BatchVerdict } from './batch.js'
import { groupCalls, type Call } from './calls.js'
import { Expressions } from './expressions.js'
import { anySize, readInputs, specNames, type ProgramInput } from './inputs.js'
import { Instances } from './instances.js'
import { Interfaces, type BoundTensor } from './interfaces.js'
import { MethodWriter } from './methods.js'
import { makePlan, type ModelPlan } from './plan.js'
import { readProgramFile, type ProgramFile } from './program-file.js'
import { flatten, type FlatGraph } from './regions.js'
import { memberOf, type Program, type Union } from './schema.js'
import { unsupported } from './unsupported.js'

/** The major versions of the schema that are read: of torch 2.5, and since 2.6. */
const knownSchemas = [7, 8]

/**
 * Turns an exported program into the plan of a nested module: the graph is flat, and each node says in which module calls it
 * stood, so that the nodes of one call become a method of that module again.
 *
 * @param device where the model will be: constants that the program makes are made there
 * @throws GradCamError ERR_MODEL_CORRUPT, ERR_MODEL_UNSUPPORTED
 */
export function translateProgram(source: ByteSource, zip: Zip, device: string): ModelPlan {
  try {
    return new Translation(readProgramFile(source, zip), device).plan()
  } catch (cause) {
    if (cause instanceof GradCamError) throw cause
    // The file may hold anything: what does not have the form of a program fails somewhere on the way.
    throw damaged(source.name, 'it does not hold a program as torch.export writes it', cause)
  }
}

class Translation {
  readonly #program: Program
  readonly #bound = new Map<string, BoundTensor>()
  readonly #inputs: string[] = []
  readonly #instances: Instances

  constructor(
    file: ProgramFile,
    private readonly device: string,
  ) {
    this.#program = file.program
    const { major, minor } = file.program.schema_version
    if (!knownSchemas.includes(major))
      throw unsupported(
        `has version ${major}.${minor} of the format, and ${knownSchemas.join('.x and ')}.x are known`,
        'Export it with torch 2.5 or later, or update this package.',
      )
    const calls = file.program.graph_module.module_call_graph ?? []
    // A second call of a module, and a part of a Sequential, are entries too.
    const paths = calls.flatMap(({ fqn }) => (fqn && !/[@(]/.test(fqn) ? [fqn] : []))
    this.#instances = new Instances(file.tensors, paths)
  }

  plan(): ModelPlan {
    const { graph, signature } = this.#program.graph_module
    const flat = flatten(graph)
    const { nodes, types, meta } = flat
    this.#readSignature()
    const inputs = readInputs(this.#program, this.#inputs, (name) => types.get(name) === 'Tensor')
    const verdict = this.#judge(flat, inputs)
    const root = groupCalls(nodes, (name) => this.#bound.get(name)?.isConstant === true)
    this.#share(root)
    const returned = signature.output_specs.flatMap((spec) => specNames(memberOf(spec)[1]))
    const interfaces = new Interfaces(root, { program: this.#program, types, meta, bound: this.#bound, returned })
    this.#placeConstants(interfaces)
    interfaces.find(root)
    new MethodWriter({
      program: this.#program,
      types,
      instances: this.#instances,
      interfaces,
      expressions: new Expressions(this.device),
      batchSizes: verdict?.free ? verdict.sizes : new Map(),
      inputs: this.#inputs,
      reach: (name) => this.#reach(name),
    }).writeRoot(root)
    return makePlan(this.#instances, withBatch(inputs, verdict), fixedBatch(inputs, verdict))
  }

  /** Null where the program itself says that its batch may vary, and where no input is a tensor. */
  #judge({ nodes, meta }: FlatGraph, inputs: readonly ProgramInput[]): BatchVerdict | null {
    const { signature } = this.#program.graph_module
    const tensors = inputs.filter(({ isTensor, sizes }) => isTensor && sizes.length > 0)
    if (tensors.length === 0 || tensors.some(({ sizes }) => !isFixed(sizes[0]))) return null
    const outputs = signature.output_specs.flatMap((spec) => {
      const [kind, value] = memberOf(spec)
      return kind === 'user_output' ? [(value as { arg: Union }).arg] : []
    })
    return judgeBatch(nodes, meta, { inputs: tensors.map(({ name }) => name), outputs })
  }

  #readSignature(): void {
    for (const spec of this.#program.graph_module.signature.input_specs) {
      const [kind, value] = memberOf(spec)
      const { arg, ...named } = value as { arg: { name: string } } & Record<string, string>
      // An input that was a plain value when the program was exported is fixed: it has no name.
      if (kind === 'user_input') this.#inputs.push(...specNames(value).slice(0, 1))
      else if (kind === 'parameter') this.#bind(arg.name, named['parameter_name'], false)
      else if (kind === 'buffer') this.#bind(arg.name, named['buffer_name'], false)
      else if (kind === 'tensor_constant') this.#bind(arg.name, named['tensor_constant_name'], true)
      else if (kind !== 'constant_input') throw unsupported(`takes a ${kind}, which has no translation`)
    }
  }

  #bind(value: string, name: string | undefined, isConstant: boolean): void {
    if (name === undefined || !this.#instances.tensors.has(name))
      throw new TypeError(`the file has no tensor '${name}', which the program uses`)
    this.#bound.set(value, { name, isConstant, names: [name] })
  }

  #share(root: Call): void {
    for (const bound of this.#bound.values()) bound.names = this.#instances.namesOf(bound.name)
    const moved = this.#instances.share(root)
    for (const bound of this.#bound.values()) {
      const names = bound.names.map((name) => {
        const { path, own } = splitName(name)
        return path === '' ? name : `${moved(path)}.${own}`
      })
      bound.names = [...new Set(names)]
    }
  }

  /** A constant that one module alone uses moves there from the model itself, so that it need not be handed down. */
  #placeConstants(interfaces: Interfaces): void {
    for (const [value, bound] of this.#bound) {
      if (!bound.isConstant) continue
      const [path, ...more] = interfaces.usersOf(value)
      const tensor = this.#instances.tensors.get(bound.name)
      if (!tensor || !path || more.length > 0) continue
      tensor.path = path
      bound.names = [`${path}.${tensor.own}`]
    }
  }

  #reach(name: string): string {
    const tensor = this.#instances.tensors.get(name)
    if (!tensor) throw new TypeError(`the program writes the buffer '${name}', which it does not have`)
    return [...relativePath(tensor.path, ''), tensor.own].reduce(attributeOf, 'self')
  }
}

const isFixed = (size: ProgramInput['sizes'][number] | undefined): boolean =>
  size !== undefined && size.min === size.max && size.symbol === ''

/** The inputs of a program whose batch turned out to be free: any size, the same for all. */
function withBatch(inputs: readonly ProgramInput[], verdict: BatchVerdict | null): ProgramInput[] {
  if (!verdict?.free) return [...inputs]
  const batch = { min: 1, max: anySize, multiple: 1, symbol: 'the batch' }
  return inputs.map((input) => (input.isTensor ? { ...input, sizes: [batch, ...input.sizes.slice(1)] } : input))
}

function fixedBatch(inputs: readonly ProgramInput[], verdict: BatchVerdict | null): ModelPlan['fixedBatch'] {
  if (!verdict || verdict.free) return null
  const leading = new Set(inputs.flatMap(({ sizes }) => sizes.slice(0, 1).map(({ max }) => max)))
  const [size = 0, ...more] = leading
  return more.length > 0 ? null : { size, operator: verdict.operator }
}
