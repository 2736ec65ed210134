import type { CallOptions } from '../abort.js'
import { Cam } from '../cam.js'
import { camMethods, type CamMethod } from '../cam-methods.js'
import { callOperatorAsync } from '../dispatch.js'
import { GradCamError } from '../errors.js'
import type { ExecutionOptions, Explained, ExplainOptions } from '../explainer.js'
import { GuidedGradCam } from '../input/guided-grad-cam.js'
import { InputAttribution, inputMethods, type InputMethod } from '../input/input-attribution.js'
import { InputPerturbation, type PerturbationMethod } from '../input/input-perturbation.js'
import { operators } from '../operators.js'
import type { ScriptModule } from '../script-module.js'
import type { Target } from '../target.js'
import type { Tensor } from '../tensor.js'
import { shareValue, type Value } from '../values.js'

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
  readonly make: (model: ScriptModule, layer: string, execution: ExecutionOptions) => BatchExplainer
}

const ofLayer = (method: CamMethod): BatchMethod => ({
  layered: true,
  make: (model, layer, execution) => {
    const explainer = new Cam(model, { ...execution, layers: [layer], methods: [method] })
    return {
      explain: async (input, options) => {
        using found = await explainer.explain<Value>(input, options)
        const { targets, scores } = found
        return { output: shareValue(found.output), targets, scores, map: found.cam.detach() }
      },
      [Symbol.dispose]: () => explainer.dispose(),
    }
  },
})

/** The mean of an attribution over the channels, as the reference shows it. */
function overChannels(
  explainer: {
    explain(
      input: Tensor,
      options: ExplainOptions<Value>,
    ): Promise<Explained & Disposable & { readonly output: Value; readonly attribution: Tensor }>
  } & Disposable,
): BatchExplainer {
  return {
    explain: async (input, options) => {
      using found = await explainer.explain(input, options)
      const { targets, scores } = found
      const map = await callOperatorAsync(operators.mean, [found.attribution, 1, true], options)
      return { output: shareValue(found.output), targets, scores, map }
    },
    [Symbol.dispose]: () => explainer[Symbol.dispose](),
  }
}

const ofInput = (method: InputMethod): BatchMethod => ({
  layered: false,
  make: (model) => overChannels(new InputAttribution(model, { method })),
})

/** Feature ablation is not among them: without features of the caller's own it runs once for each pixel and channel. */
const perturbations = ['occlusion', 'rise'] as const satisfies readonly PerturbationMethod[]

const byPerturbing = (method: (typeof perturbations)[number]): BatchMethod => ({
  layered: false,
  make: (model) => overChannels(new InputPerturbation(model, { method })),
})

/** Every method that a batch can be explained with. */
const methods: Readonly<Record<string, BatchMethod>> = {
  ...Object.fromEntries((Object.keys(camMethods) as CamMethod[]).map((method) => [method, ofLayer(method)])),
  ...Object.fromEntries(inputMethods.map((method) => [method, ofInput(method)])),
  ...Object.fromEntries(perturbations.map((method) => [method, byPerturbing(method)])),
  'guided-gradcam': { layered: true, make: (model, layer) => overChannels(new GuidedGradCam(model, { layer })) },
}

export type BatchMethodName = CamMethod | InputMethod | (typeof perturbations)[number] | 'guided-gradcam'

export const batchMethods = Object.keys(methods) as readonly BatchMethodName[]

/** The method of that name, made for a model. */
export function makeExplainer(
  name: BatchMethodName,
  model: ScriptModule,
  layer: string | null,
  execution: ExecutionOptions = {},
): BatchExplainer {
  const { layered, make } = methodOf(name)
  if (layered && !layer)
    throw new GradCamError('ERR_INVALID_ARGUMENT', `${name} looks at a layer: name it, e.g. layer: 'features'.`)
  if (!layered && layer)
    throw new GradCamError('ERR_INVALID_ARGUMENT', `${name} looks at the input and takes no layer. Leave it out.`)
  if (execution.precision && !Object.hasOwn(camMethods, name))
    throw new GradCamError('ERR_INVALID_ARGUMENT', `${name} looks at the input: leave out the precision.`)
  return make(model, layer ?? '', execution)
}

export function isLayered(name: BatchMethodName): boolean {
  return methodOf(name).layered
}

function methodOf(name: BatchMethodName): BatchMethod {
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined
  if (method) return method
  throw new GradCamError(
    'ERR_INVALID_ARGUMENT',
    `There is no method '${name as string}' for batches. There are ${batchMethods.join(', ')}.`,
  )
}
