import { Cam } from '../cam/cam.js'
import type { CamFailure } from '../cam/cam-explanation.js'
import { camMethods, type CamMethod } from '../cam/cam-methods.js'
import { takesAtOnce } from '../model/images-at-once.js'
import { learnImagesAtOnce } from '../model/learn-images-at-once.js'
import type { Model } from '../model/model.js'
import type { Tensor } from '../tensor/tensor.js'
import { disposeValue, shareValue, type Value } from '../tensor/values.js'
import type { MapExplainer, MethodMap } from './method-maps.js'
import { pickSettings, type MethodSettings } from './options.js'
import { readOtherInputs, withImages } from './other-inputs.js'

/** What is told of a map besides its values. */
type Told = Pick<MethodMap, 'conditions' | 'calls'>

/** Methods that share the passes of one {@link Cam}. */
export function ofLayers(
  model: Model,
  names: readonly CamMethod[],
  layers: readonly string[],
  settings: MethodSettings,
): MapExplainer {
  const own = pickSettings(settings, [
    'precision',
    'precisionError',
    'eigenSmooth',
    'chunkSize',
    'seed',
    'samples',
    'sigma',
    'steps',
    'baseline',
    'reshape',
    'part',
    'call',
  ])
  // For a method that runs the model for each channel a split always pays; one that was asked for is made in any case.
  const execution = names.some((name) => 'reruns' in camMethods[name]) ? 'auto' : (settings.execution ?? 'auto')
  const others = readOtherInputs(settings.inputs)
  // With one input it need not be said which is meant.
  const input = settings.inputs === undefined ? {} : { input: others.at }
  const cam = new Cam(model, { layers, methods: names, execution, ...own, ...input })
  const toMap = (layer: string, method: CamMethod, map: Tensor, more: Told): MethodMap => {
    return { method, layer, map, intercepted: null, delta: null, ...more }
  }
  const eachBut = (failures: readonly CamFailure[]) => {
    const made = names.filter((name) => failures.every(({ method }) => method !== name))
    return layers.flatMap((layer) => made.map((method) => [layer, method] as const))
  }
  return {
    methods: names,
    explain: async (images, options) => {
      using given = withImages(others, images)
      using explained = await cam.explain<Value>(given.inputs, options)
      const { targets, scores, failures, warnings, of } = explained
      const toldOf = (layer: string, method: CamMethod): Told => {
        const found = explained.maps.find((one) => one.layer === layer && one.method === method)
        return { conditions: found?.conditions ?? [], calls: found?.calls ?? null }
      }
      const maps = eachBut(failures).map(([layer, method]) =>
        toMap(layer, method, explained.get(layer, method).detach(), toldOf(layer, method)),
      )
      const { precision } = explained.execution
      const chosen = { ...(of && { of }), ...(precision && { precision }) }
      return { output: shareValue(explained.output), targets, scores, maps, failures, warnings, ...chosen }
    },
    async *explainEach(images, targets, onProgress) {
      using given = withImages(others, images)
      if (!takesAtOnce(cam.model, given.inputs)) {
        for (const target of targets) yield await this.explain(images, { target, onProgress })
        return
      }
      let output: Value | undefined
      let explained = 0
      try {
        output = await cam.forward<Value>(given.inputs)
        for (const target of targets) {
          const found = await cam.backward<Value>(target, { onProgress })
          const { failures } = cam
          const maps = eachBut(failures).map(([layer, method]) =>
            toMap(layer, method, cam.get(layer, method), {
              conditions: cam.conditions(layer, method),
              calls: cam.calls(layer),
            }),
          )
          const { precision } = cam.execution
          explained++
          yield { output: shareValue(output), ...found, maps, failures, ...(precision && { precision }) }
        }
      } catch (error) {
        if (explained > 0 || !(await learnImagesAtOnce(cam.model, given.inputs, error))) throw error
        for (const target of targets) yield await this.explain(images, { target, onProgress })
      } finally {
        disposeValue(output)
      }
    },
    [Symbol.dispose]: () => cam.dispose(),
  }
}
