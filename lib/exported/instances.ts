import { isBelow, splitName } from './attributes.js'
import type { Call } from './calls.js'
import type { ProgramTensor } from './program-file.js'
import { unsupported } from './unsupported.js'

/** More modules than any model has. */
const mostModules = 100_000
const deepestModule = 100

/** A module that is built: its children by their names, and its methods. */
export class Instance {
  type = ''
  /** The path of each child by its name: the child's own path ends in another name where modules are shared. */
  readonly children = new Map<string, string>()
  readonly methods: { readonly name: string; readonly text: string }[] = []
  /** The name of the method that does what a text says. */
  readonly methodNames = new Map<string, string>()
}

/** A tensor at its module. */
export interface PlacedTensor extends ProgramTensor {
  path: string
  readonly own: string
}

/** The modules of the model, by path, with their tensors. */
export class Instances {
  readonly byPath = new Map<string, Instance>()
  readonly tensors = new Map<string, PlacedTensor>()
  /** The full names of one and the same tensor. */
  readonly #sameTensor = new Map<string, string[]>()

  /** @param paths of modules in the order in which the model has them: its tensors alone do not name them all */
  constructor(tensors: ReadonlyMap<string, ProgramTensor>, paths: readonly string[]) {
    this.at('')
    for (const path of paths) this.at(path)
    for (const [name, tensor] of tensors) {
      const { path, own } = splitName(name)
      this.tensors.set(name, { ...tensor, path, own })
      this.at(path)
      const id = identityOf(tensor)
      const names = this.#sameTensor.get(id)
      if (names) names.push(name)
      else this.#sameTensor.set(id, [name])
    }
  }

  /** The module at a path, made with those above it where it is not there yet. */
  at(path: string): Instance {
    const known = this.byPath.get(path)
    if (known) return known
    if (this.byPath.size >= mostModules) throw unsupported(`has more than ${mostModules} modules`)
    if (path.split('.').length > deepestModule) throw unsupported(`nests modules deeper than ${deepestModule}`)
    const instance = new Instance()
    this.byPath.set(path, instance)
    if (path !== '') {
      const { path: parent, own } = splitName(path)
      this.at(parent).children.set(own, path)
    }
    return instance
  }

  /** All names of the tensor that has this one. */
  namesOf(name: string): string[] {
    const tensor = this.tensors.get(name)
    return (tensor && this.#sameTensor.get(identityOf(tensor))) ?? [name]
  }

  /**
   * One module under two parents is called by two paths, and its tensors have names in both. It becomes one module again, so
   * that a hook on it sees both calls.
   *
   * @returns where the module of a path is kept
   */
  share(root: Call): (path: string) => string {
    const types = new Map<string, string>()
    for (const call of root.all()) types.set(call.path, call.type)
    const kept = this.#findShared(types)
    const moved = (path: string): string => {
      for (let at = path; at !== ''; at = splitName(at).path) {
        const to = kept.get(at)
        if (to !== undefined) return moved(to + path.slice(at.length))
      }
      return path
    }
    if (kept.size === 0) return moved
    for (const call of root.all()) call.path = moved(call.path)
    for (const [name, tensor] of this.tensors) if (moved(tensor.path) !== tensor.path) this.tensors.delete(name)
    for (const path of this.byPath.keys()) {
      if (moved(path) === path) continue
      this.byPath.delete(path)
      const { path: parent, own } = splitName(path)
      this.byPath.get(parent)?.children.set(own, moved(path))
    }
    return moved
  }

  /** Of modules that hold the same tensors under the same names and have one class, the first by depth is kept. */
  #findShared(types: ReadonlyMap<string, string>): Map<string, string> {
    const kept = new Map<string, string>()
    if (![...this.#sameTensor.values()].some((names) => names.length > 1)) return kept
    const held = new Map<string, string[]>()
    for (const [name, tensor] of this.tensors)
      for (let { path } = tensor; path !== ''; { path } = splitName(path)) {
        const part = `${name.slice(path.length + 1)} ${identityOf(tensor)}`
        const parts = held.get(path)
        if (parts) parts.push(part)
        else held.set(path, [part])
      }
    const first = new Map<string, string>()
    const depth = (path: string) => path.split('.').length
    for (const path of [...this.byPath.keys()].sort((a, b) => depth(a) - depth(b))) {
      const parts = held.get(path)
      if (!parts || !types.has(path)) continue
      const key = `${types.get(path)}\n${parts.sort().join('\n')}`
      const same = first.get(key)
      if (same === undefined) first.set(key, path)
      else if (!isBelow(path, same)) kept.set(path, same)
    }
    return kept
  }
}

const identityOf = ({ tensor: { storage, dtype, sizes, strides, offset } }: ProgramTensor): string =>
  [storage.position, storage.length, dtype, sizes.join(), strides.join(), offset].join(' ')
