import type { CallOptions } from '../abort.js'
import { callOperatorAsync } from '../dispatch.js'
import { GradCamError } from '../errors.js'
import { GradCam } from '../grad-cam.js'
import { GuidedBackprop } from '../guided-backprop.js'
import { interpolateAsync } from '../interpolate.js'
import { operators } from '../operators.js'
import type { ScriptModule } from '../script-module.js'
import type { Target } from '../target.js'
import type { Tensor } from '../tensor.js'
import { disposeValue, type Value } from '../values.js'

/** What a method found for a batch. The tensors belong to whoever is given it. */
export interface BatchMaps {
  /** The model's output, e.g. logits [N, C]. */
  readonly output: Value
  readonly targets: readonly number[]
  readonly scores: readonly number[]
  /** [N, 1, h, w] over the whole input, not normalised. */
  readonly map: Tensor
}

/** Explains batches with one model; calls may overlap. */
export interface BatchExplainer extends Disposable {
  explain(input: Tensor, options: CallOptions & { target: Exclude<Target<Value>, Function> }): Promise<BatchMaps>
}

interface BatchMethod {
  /** Whether it looks at a layer, which must then be named. */
  readonly layered: boolean
  readonly make: (model: ScriptModule, layer: string) => BatchExplainer
}

function gradCam(model: ScriptModule, layer: string): BatchExplainer {
  const explainer = new GradCam(model, [layer])
  return {
    explain: async (input, options) => {
      using found = await explainer.explain<Value>(input, options)
      const { targets, scores } = found
      return { output: share(found.output), targets, scores, map: found.cam.detach() }
    },
    [Symbol.dispose]: () => explainer.dispose(),
  }
}

/** The mean over the channels, as the reference shows it. */
function guidedBackprop(model: ScriptModule): BatchExplainer {
  const explainer = new GuidedBackprop(model)
  return {
    explain: async (input, options) => {
      using found = await explainer.explain<Value>(input, options)
      const { targets, scores } = found
      const map = await callOperatorAsync(operators.mean, [found.gradient, 1, true], options)
      return { output: share(found.output), targets, scores, map }
    },
    [Symbol.dispose]: () => explainer.dispose(),
  }
}

/** The product of both, with the map enlarged to the input's size. */
function guidedGradCam(model: ScriptModule, layer: string): BatchExplainer {
  const cam = gradCam(model, layer)
  const guided = guidedBackprop(model)
  return {
    explain: async (input, options) => {
      const found = await cam.explain(input, options)
      try {
        using small = found.map
        const { output, map } = await guided.explain(input, { ...options, target: found.targets })
        disposeValue(output)
        using gradient = map
        const [, , height = 1, width = 1] = gradient.shape
        using large = await interpolateAsync(small, [height, width], options)
        return { ...found, map: await callOperatorAsync(operators.mul, [large, gradient], options) }
      } catch (error) {
        disposeValue(found.output)
        throw error
      }
    },
    [Symbol.dispose]: () => {
      cam[Symbol.dispose]()
      guided[Symbol.dispose]()
    },
  }
}

/** Every method that a batch can be explained with: one line each. */
const methods = {
  gradcam: { layered: true, make: gradCam },
  'guided-backprop': { layered: false, make: guidedBackprop },
  'guided-gradcam': { layered: true, make: guidedGradCam },
} satisfies Record<string, BatchMethod>

export type BatchMethodName = keyof typeof methods

export const batchMethods = Object.keys(methods) as readonly BatchMethodName[]

/** The method of that name, made for a model. */
export function makeExplainer(name: BatchMethodName, model: ScriptModule, layer: string | null): BatchExplainer {
  const { layered, make } = methodOf(name)
  if (layered && !layer)
    throw new GradCamError('ERR_INVALID_ARGUMENT', `${name} looks at a layer: name it, e.g. layer: 'features'.`)
  if (!layered && layer)
    throw new GradCamError('ERR_INVALID_ARGUMENT', `${name} looks at the input and takes no layer. Leave it out.`)
  return make(model, layer ?? '')
}

export function isLayered(name: BatchMethodName): boolean {
  return methodOf(name).layered
}

function methodOf(name: BatchMethodName): BatchMethod {
  if (Object.hasOwn(methods, name)) return methods[name]
  throw new GradCamError(
    'ERR_INVALID_ARGUMENT',
    `There is no method '${name as string}' for batches. There are ${batchMethods.join(', ')}.`,
  )
}

/** The same value with tensors of its own on the same memory. */
function share(value: Value): Value {
  if (value === null || typeof value !== 'object') return value
  if ('detach' in value && typeof value.detach === 'function') return (value as Tensor).detach()
  if (Array.isArray(value)) return (value as readonly Value[]).map(share)
  return Object.fromEntries(Object.entries(value as Record<string, Value>).map(([name, inner]) => [name, share(inner)]))
}
