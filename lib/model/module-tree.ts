import type { NamedModule } from './model.js'

/** A submodule and its position in the tree. */
export interface ModuleRow {
  readonly module: NamedModule
  /** 1 for what lies directly in the root of the tree. */
  readonly depth: number
  /** The lines that join it to what it lies in, and its name there. */
  readonly branch: string
  readonly name: string
  /** How many modules lie inside it, at any depth. */
  readonly inside: number
}

/**
 * The submodules inside one of them as the rows of a tree, in the model's order.
 *
 * @param modules all, in PyTorch's order, in which what lies inside a module follows it at once
 * @param root its path, '' for the whole model
 */
export function moduleTree(modules: readonly NamedModule[], root: string): ModuleRow[] {
  const below = children(modules, root)
  return below.flatMap((child, index) => rows(modules, child, root, 1, '', index === below.length - 1))
}

function rows(
  modules: readonly NamedModule[],
  module: NamedModule,
  parent: string,
  depth: number,
  indent: string,
  last: boolean,
): ModuleRow[] {
  const below = children(modules, module.path)
  const next = indent + (last ? '   ' : '│  ')
  const inner = below.flatMap((child, index) =>
    rows(modules, child, module.path, depth + 1, next, index === below.length - 1),
  )
  const name = parent === '' ? module.path : module.path.slice(parent.length + 1)
  return [{ module, depth, branch: `${indent}${last ? '└─ ' : '├─ '}`, name, inside: inner.length }, ...inner]
}

function children(modules: readonly NamedModule[], parent: string): NamedModule[] {
  const prefix = parent === '' ? '' : `${parent}.`
  return modules.filter(({ path }) => path !== '' && path.startsWith(prefix) && !path.includes('.', prefix.length))
}

/** The greatest depth that shows no more rows than fit on a screen, and at least 1. */
export function comfortableDepth(tree: readonly ModuleRow[], limit = 40): number {
  const deepest = deepestOf(tree)
  let depth = 1
  while (depth < deepest && tree.filter((row) => row.depth <= depth + 1).length <= limit) depth++
  return depth
}

export function deepestOf(tree: readonly ModuleRow[]): number {
  return tree.reduce((deepest, { depth }) => Math.max(deepest, depth), 0)
}
