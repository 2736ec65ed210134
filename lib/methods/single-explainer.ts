import type { CallOptions } from '../addon/abort.js'
import type { MapCondition } from '../explain/condition.js'
import type { Explained, ExplainOptions } from '../explain/explained.js'
import { channelsFirst, hasChannelsLast } from '../model/expected-input.js'
import type { Model } from '../model/model.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { operators } from '../tensor/operators.js'
import type { Tensor } from '../tensor/tensor.js'
import { shareValue, type Value } from '../tensor/values.js'
import type { MapExplainer, MethodMap } from './method-maps.js'
import type { MethodSettings } from './options.js'
import { readOtherInputs, withImages } from './other-inputs.js'

/** What the classes of methods have in common. */
export interface Attributing extends Disposable {
  explain(inputs: Value | readonly Value[], options: ExplainOptions<Value>): Promise<Attributed>
}
type Attributed = Explained &
  Disposable & {
    readonly output: Value
    readonly conditions: readonly MapCondition[]
    readonly intercepted?: number | null
    readonly delta?: readonly number[] | null
    readonly calls?: number
  } & ({ readonly attribution: Tensor } | { readonly cam: Tensor })

/** One method. The map of an attribution is its mean over the channels, as in the Python reference. */
export function single(
  { model, method, layer }: Pick<MethodMap, 'method' | 'layer'> & { readonly model: Model },
  explainer: Attributing,
  settings: MethodSettings,
): MapExplainer {
  const others = readOtherInputs(settings.inputs)
  const explain: MapExplainer['explain'] = async (images, options) => {
    using given = withImages(others, images)
    using explained = await explainer.explain(given.inputs, options)
    const { targets, scores, conditions, intercepted = null, delta = null, calls = null, warnings = [], of } = explained
    const map = 'cam' in explained ? explained.cam.detach() : await meanOfChannels(explained.attribution, options)
    const maps = [{ method, layer, map, intercepted, delta, conditions, calls }]
    return { output: shareValue(explained.output), targets, scores, maps, failures: [], warnings, ...(of && { of }) }
  }
  const meanOfChannels = async (attribution: Tensor, options: CallOptions): Promise<Tensor> => {
    if (attribution.shape.length === 2) return attribution.unsqueeze(1) // there are none
    if (!hasChannelsLast(model, others.at, attribution.shape))
      return await callOperatorAsync(operators.mean, [attribution, 1, true], options)
    using first = channelsFirst(attribution)
    return await callOperatorAsync(operators.mean, [first, 1, true], options)
  }
  return {
    methods: [method],
    explain,
    async *explainEach(input, targets, onProgress) {
      for (const target of targets) yield await explain(input, { target, onProgress })
    },
    [Symbol.dispose]: () => explainer[Symbol.dispose](),
  }
}
