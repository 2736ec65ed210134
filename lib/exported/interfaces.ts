import { attributeOf, isBelow, relativePath, splitName } from './attributes.js'
import { Call } from './calls.js'
import type { ValueTypes } from './regions.js'
import { isSymbolic, madeBy, namesIn, takenBy, type GraphNode, type Program, type TensorMeta } from './schema.js'

/** A parameter, buffer or constant as a value of the graph. */
export interface BoundTensor {
  readonly name: string
  readonly isConstant: boolean
  /** All names by which a module may find it. */
  names: readonly string[]
}

/** A step by which a call works out a size itself: the size of a tensor that it is given, or arithmetic. */
export type SizeStep =
  | { readonly name: string; readonly tensor: string; readonly dim: number }
  | { readonly name: string; readonly node: GraphNode }

/** What a call takes from outside, in the order of its use, what it works out of that, and what others use of it. */
export interface Interface {
  readonly inputs: readonly string[]
  readonly prologue: readonly SizeStep[]
  readonly outputs: readonly string[]
}

export interface Values {
  readonly program: Program
  readonly types: ValueTypes
  readonly meta: ReadonlyMap<string, TensorMeta>
  readonly bound: ReadonlyMap<string, BoundTensor>
  /** The values that the program returns, or writes to a buffer or an input at its end. */
  readonly returned: readonly string[]
}

/** Finds the arguments and results of all calls. */
export class Interfaces {
  readonly #of = new Map<Call, Interface>()
  readonly #users = new Map<string, Set<Call>>()
  /** The arithmetic by which each size is known. */
  readonly #symbolic = new Map<string, GraphNode>()
  /** The calls that work out a size themselves. */
  readonly #workedOut = new Map<string, Set<Call>>()

  constructor(
    root: Call,
    private readonly values: Values,
  ) {
    for (const call of root.all())
      for (const item of call.items) {
        if (item instanceof Call) continue
        for (const name of takenBy(item)) this.#use(name, call)
        if (isSymbolic(item)) this.#symbolic.set(madeBy(item)[0] ?? '', item)
      }
    for (const name of values.returned) this.#use(name, root)
  }

  /** Finds them: twice, since what a call can work out itself, an earlier one need not return. */
  find(root: Call): void {
    this.#find(root)
    this.#of.clear()
    this.#find(root)
  }

  of(call: Call): Interface {
    return this.#of.get(call) as Interface
  }

  isUsed(name: string): boolean {
    return this.#users.has(name)
  }

  /** The paths of the modules whose calls use a value. */
  usersOf(name: string): ReadonlySet<string> {
    return new Set([...(this.#users.get(name) ?? [])].map(({ path }) => path))
  }

  #use(name: string, call: Call): void {
    const users = this.#users.get(name)
    if (users) users.add(call)
    else this.#users.set(name, new Set([call]))
  }

  isSize(name: string): boolean {
    return (this.values.types.get(name) ?? 'Tensor') !== 'Tensor'
  }

  /** Where a call finds a parameter, buffer or constant: at its own module or one below it, if any. */
  attribute(call: Call, name: string): string | null {
    for (const full of this.values.bound.get(name)?.names ?? []) {
      const { path, own } = splitName(full)
      if (isBelow(path, call.path)) return [...relativePath(path, call.path), own].reduce(attributeOf, 'self')
    }
    return null
  }

  #find(call: Call): Interface {
    const inputs = new Set<string>()
    const made = new Set<string>()
    const take = (name: string) => {
      if (!made.has(name) && this.attribute(call, name) === null) inputs.add(name)
    }
    for (const item of call.items) {
      const inner = item instanceof Call ? this.#find(item) : null
      for (const name of item instanceof Call ? (inner as Interface).inputs : takenBy(item)) take(name)
      for (const name of item instanceof Call ? (inner as Interface).outputs : madeBy(item)) made.add(name)
    }
    if (!call.parent) for (const name of this.values.returned) take(name)
    const tensors = [...inputs].filter((name) => !this.isSize(name))
    const prologue: SizeStep[] = []
    const tried = new Map<string, boolean>()
    // Sizes are worked out of the tensors inside, so that a module keeps the arguments that it had.
    const sizes = [...inputs].filter(
      (name) => this.isSize(name) && !(call.parent && this.#workOut(name, { tensors, tried }, prologue)),
    )
    for (const { name } of prologue) {
      const calls = this.#workedOut.get(name)
      if (calls) calls.add(call)
      else this.#workedOut.set(name, new Set([call]))
    }
    const isNeeded = (name: string) =>
      [...(this.#users.get(name) ?? [])].some((user) => !call.contains(user) && !this.#isWorkedOut(name, user))
    const found = { inputs: [...tensors, ...sizes], prologue, outputs: [...made].filter(isNeeded) }
    this.#of.set(call, found)
    return found
  }

  #isWorkedOut(name: string, user: Call): boolean {
    const calls = this.#workedOut.get(name)
    for (let call: Call | null = user; calls && call; call = call.parent) if (calls.has(call)) return true
    return false
  }

  /** Adds the steps that compute a size of the sizes of `tensors`; false where it cannot be done. */
  #workOut(
    name: string,
    from: { tensors: readonly string[]; tried: Map<string, boolean> },
    steps: SizeStep[],
  ): boolean {
    const known = from.tried.get(name)
    if (known !== undefined) return known
    const before = steps.length
    const isDone = this.#findSteps(name, from, steps)
    // What was worked out on the way is taken back with it.
    if (!isDone) for (const step of steps.splice(before)) from.tried.delete(step.name)
    from.tried.set(name, isDone)
    return isDone
  }

  #findSteps(
    name: string,
    from: { tensors: readonly string[]; tried: Map<string, boolean> },
    steps: SizeStep[],
  ): boolean {
    const { meta, program } = this.values
    const { sym_int_values: sizes } = program.graph_module.graph
    const value = sizes?.[name]?.as_expr?.expr_str
    for (const tensor of value === undefined ? [] : from.tensors) {
      const dim = (meta.get(tensor)?.sizes ?? []).findIndex((size) => size.as_expr?.expr_str === value)
      if (dim >= 0) return steps.push({ name, tensor, dim }) > 0
    }
    const node = this.#symbolic.get(name)
    if (!node || /sym_size|sym_stride|sym_numel|sym_storage/.test(node.target)) return false
    const operands = node.inputs.flatMap(({ arg }) => namesIn(arg))
    if (!operands.every((operand) => this.#workOut(operand, from, steps))) return false
    return steps.push({ name, node }) > 0
  }
}
