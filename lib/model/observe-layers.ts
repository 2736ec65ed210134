import type { CallOptions } from '../addon/abort.js'
import type { HookHandle, ScriptModule } from './script-module.js'
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
  /** The same in words, e.g. '[1, 64, 7, 7]', or '([1, 8, 4, 4], [1, 5])' for a tuple. */
  readonly description: string
}

/**
 * Runs the model once, with a hook on every submodule that can have one.
 *
 * @param inputs as `model.forward` takes them
 * @returns what each submodule that the pass called returned, in the order in which they finished: a module comes after
 *   all that it calls, the model itself last. Shapes only, there is nothing to dispose.
 * @throws what `model.forward` throws
 */
export async function observeLayers(
  model: ScriptModule,
  inputs: Value | readonly Value[],
  options: CallOptions = {},
): Promise<LayerOutput[]> {
  const seen = new Map<string, LayerOutput>()
  const hooks: HookHandle[] = []
  try {
    for (const { path, typeName } of model.namedModules().filter(({ hookable }) => hookable)) {
      const hook = model.registerForwardHook(path, (_module, given, output) => {
        const calls = (seen.get(path)?.calls ?? 0) + 1
        const shape = output instanceof Tensor ? output.shape : null
        seen.delete(path) // a module that is called again moves to the end
        seen.set(path, { path, typeName, calls, shape, description: describeValue(output) })
        disposeValue(given)
        disposeValue(output)
      })
      hooks.push(hook)
    }
    disposeValue(await model.forward<Value>(inputs, options))
    return [...seen.values()]
  } finally {
    for (const hook of hooks) hook.remove()
  }
}

/**
 * The layer that Grad-CAM is most often used on: the last of a pass that returned [N, C, h, w] with more than one
 * spatial position, before the model pools its features. Of a block and the last layer inside it, which return the same, it is
 * the block.
 *
 * @param outputs from {@link observeLayers}
 * @returns null when no layer has a spatial output, as in a network of linear layers
 */
export function lastSpatialLayer(outputs: readonly LayerOutput[]): LayerOutput | null {
  const spatial = outputs.filter(({ path, shape }) => path !== '' && isSpatial(shape))
  // A last pooling, such as VGG's 7x7 one, only blurs what the layer before it saw, and dropout does nothing to it.
  return spatial.findLast(({ typeName }) => !/pool|dropout|identity/i.test(typeName)) ?? spatial.at(-1) ?? null
}

/** Runs the model once and gives the {@link lastSpatialLayer}. */
export async function suggestLayer(
  model: ScriptModule,
  inputs: Value | readonly Value[],
  options: CallOptions = {},
): Promise<LayerOutput | null> {
  return lastSpatialLayer(await observeLayers(model, inputs, options))
}

function isSpatial(shape: readonly number[] | null): boolean {
  const [, , height = 0, width = 0] = shape ?? []
  return shape?.length === 4 && height * width > 1
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
