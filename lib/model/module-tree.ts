import { expect, isRecord } from '../base/check.js'
import type { NamedModule } from './model.js'

/** A submodule as a row of a tree. */
export interface ModuleRow {
  readonly module: NamedModule
  /** 1 for the submodules directly inside the root of the tree. */
  readonly depth: number
  /** The lines that join it to its parent, e.g. `│  └─ `. */
  readonly branch: string
  /** Its path from its parent, e.g. `conv`. */
  readonly name: string
  /** How many submodules lie inside it, at any depth. */
  readonly inside: number
}

/** A submodule of the tree, and how its children are joined to it. */
interface Parent {
  readonly path: string
  readonly depth: number
  readonly indent: string
}

/**
 * The submodules inside a module as the rows of a tree, in the model's order.
 *
 * @param modules all of a model's modules, as `model.namedModules()` returns them
 * @param root the path of a module; '' for the whole model
 * @throws GradCamError ERR_INVALID_ARGUMENT
 */
export function moduleTree(modules: readonly NamedModule[], root: string): ModuleRow[] {
  const list = expect.list('modules', modules, isNamedModule, 'modules, from namedModules()')
  expect.string('root', root, 'the path of a module')
  return rowsInside(list, { path: root, depth: 0, indent: '' })
}

const isNamedModule = (value: unknown): value is NamedModule => isRecord(value) && typeof value['path'] === 'string'

function rowsInside(modules: readonly NamedModule[], parent: Parent): ModuleRow[] {
  const children = childrenOf(modules, parent.path)
  const depth = parent.depth + 1
  return children.flatMap((module, index) => {
    const isLast = index === children.length - 1
    const indent = parent.indent + (isLast ? '   ' : '│  ')
    const inner = rowsInside(modules, { path: module.path, depth, indent })
    const branch = `${parent.indent}${isLast ? '└─ ' : '├─ '}`
    const name = parent.path === '' ? module.path : module.path.slice(parent.path.length + 1)
    return [{ module, depth, branch, name, inside: inner.length }, ...inner]
  })
}

function childrenOf(modules: readonly NamedModule[], parent: string): NamedModule[] {
  const prefix = parent === '' ? '' : `${parent}.`
  return modules.filter(({ path }) => path !== '' && path.startsWith(prefix) && !path.includes('.', prefix.length))
}

/** The greatest depth that shows no more than `limit` rows, and at least 1. */
export function comfortableDepth(tree: readonly ModuleRow[], limit = 40): number {
  const deepest = deepestOf(tree)
  let depth = 1
  while (depth < deepest && tree.filter((row) => row.depth <= depth + 1).length <= limit) depth++
  return depth
}

/** The depth of the row that lies deepest; 0 for an empty tree. */
export function deepestOf(tree: readonly ModuleRow[]): number {
  return tree.reduce((deepest, { depth }) => Math.max(deepest, depth), 0)
}
