import { memberOf, type GraphNode, type TensorMeta } from './schema.js'

/**
 * Where a value keeps the images apart: dimension `dim` has `times` elements for each image, those of the first image first.
 */
export interface Batched {
  readonly dim: number
  readonly times: number
}

/** An argument of a node that must follow the batch: written as the expression of a size instead of the exported number. */
export interface BatchSize {
  /** The position of the argument among the node's inputs. */
  readonly input: number
  /** The text of the argument, from the text of a value. */
  readonly text: (textOf: (value: string) => string) => string
}

/** What is known of a program's values so far. */
export class BatchState {
  /** Values that keep the images apart. */
  readonly values = new Map<string, Batched>()
  /** Values that are the same for every image, with a size of 1 where the batch would be, and that dimension. */
  readonly uniform = new Map<string, number>()
  readonly sizes = new Map<GraphNode, BatchSize[]>()

  /** @param batch how many images the program was exported for */
  constructor(
    private readonly meta: ReadonlyMap<string, TensorMeta>,
    readonly batch: number,
  ) {}

  shape(name: string): number[] {
    return (this.meta.get(name)?.sizes ?? []).map((size) => size.as_int ?? Number.NaN)
  }

  rank(name: string): number {
    return this.shape(name).length
  }

  /** Whether a value has nothing to do with the batch. */
  isPlain(name: string): boolean {
    return !this.values.has(name) && !this.uniform.has(name)
  }

  mark(node: GraphNode, size: BatchSize): void {
    const marks = this.sizes.get(node)
    if (marks) marks.push(size)
    else this.sizes.set(node, [size])
  }
}

/** An argument that is a number or a list of numbers, as a list. */
export function integersOf(node: GraphNode, name: string): number[] | null {
  const found = node.inputs.find((input) => input.name === name)
  if (!found) return null
  const [kind, value] = memberOf(found.arg)
  if (kind === 'as_int') return [Number(value)]
  return kind === 'as_ints' ? (value as number[]).map(Number) : null
}
