import type { CallOptions } from '../addon/abort.js'
import { expect } from '../base/check.js'
import { checkModel, type HookHandle, type Model } from './model.js'
import { runAtOnce } from './learn-images-at-once.js'
import { runOnce } from './run-once.js'
import { Tensor } from '../tensor/tensor.js'
import { disposeValue, type Value } from '../tensor/values.js'

/** What one submodule returned in a pass, at the last of its calls. */
export interface LayerOutput {
  /** The path of the submodule, '' for the model itself. */
  readonly path: string
  readonly typeName: string
  /** How often the pass called it. */
  readonly calls: number
  /** The shape, where it returned one tensor. */
  readonly shape: readonly number[] | null
  /** The type, where it returned one tensor; also one that no {@link Tensor} is made of, such as 'complex64'. */
  readonly dtype?: string | null
  /** The shape in words, e.g. '[1, 64, 7, 7]', or '([1, 8, 4, 4], [1, 5])' for a tuple. */
  readonly description: string
}

/** @internal Whether a layer returned what a map can be made of: not integers, complex or quantized numbers. */
export const isFloating = ({ dtype }: LayerOutput): boolean => !dtype || /^b?float/.test(dtype)

/**
 * Runs the model once, with a hook on every submodule that can have one. Where the model takes another number of images at a time
 * than are given, it runs on that number: the shapes are of it.
 *
 * @param inputs as `model.forward` takes them
 * @returns what each submodule that the pass called returned, in the order in which they finished: a module comes after
 *   all that it calls, the model itself last. Shapes only, there is nothing to dispose.
 * @throws what `model.forward` throws
 */
export async function observeLayers(
  model: Model,
  inputs: Value | readonly Value[],
  options: CallOptions = {},
): Promise<LayerOutput[]> {
  checkModel(model)
  expect.options(options)
  return await runAtOnce(model, inputs, (values) => observeGiven(model, values, options))
}

/** @internal The same for as many images as are given. */
export async function observeGiven(
  model: Model,
  inputs: readonly Value[],
  options: CallOptions = {},
): Promise<LayerOutput[]> {
  const seen = new Map<string, LayerOutput>()
  const hooks: HookHandle[] = []
  try {
    for (const { path, typeName } of model.namedModules().filter(({ hookable }) => hookable)) {
      const hook = model.registerForwardHook(path, (_module, given, output) => {
        const calls = (seen.get(path)?.calls ?? 0) + 1
        const [shape, dtype] = output instanceof Tensor ? [output.shape, output.dtype] : [null, null]
        seen.delete(path) // a module that is called again moves to the end
        seen.set(path, { path, typeName, calls, shape, dtype, description: describeValue(output) })
        disposeValue(given)
        disposeValue(output)
      })
      hooks.push(hook)
    }
    disposeValue(await runOnce(model, inputs, options))
    return [...seen.values()]
  } finally {
    for (const hook of hooks) hook.remove()
  }
}

/** The shapes of a module's output, in the form of the value that it is. */
export function describeValue(value: Value | undefined): string {
  if (value instanceof Tensor) return `[${value.shape.join(', ')}]`
  if (Array.isArray(value)) return `(${(value as readonly Value[]).map(describeValue).join(', ')})`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value as Record<string, Value>)
    return `{${entries.map(([name, inner]) => `${name}: ${describeValue(inner)}`).join(', ')}}`
  }
  return value === null || value === undefined ? 'None' : typeof value
}
